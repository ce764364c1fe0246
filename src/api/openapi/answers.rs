//! Answers: their headers and bodies, and the refusals that operations share. It tells in the words of the document what
//! `api::error` does.

use serde_json::{Value, json};

use super::operations::Answer;
use super::{component, object, shape};
use crate::api::middleware::LONGEST_REQUEST_ID;

/// The media type of nearly everything.
pub(super) const JSON: &str = "application/json";

/// The media type of image data.
pub(super) const BYTES: &str = "application/octet-stream";

/// Every answer has it.
const REQUEST_ID: &str = "RequestId";

/// What a header looks like.
enum Looks {
    Text,
    Url,
    Count,
    Word(&'static str),
    Pattern(&'static str),
}
use Looks::{Count, Pattern, Text, Url, Word};

/// Headers of answers: the name in the document, the name on the wire, whether it is always there, what it looks like, and
/// what it means.
#[rustfmt::skip]
const HEADERS: [(&str, &str, bool, Looks, &str); 14] = [
    (REQUEST_ID, "x-openstack-request-id", true, Pattern("^req-[A-Za-z0-9-]+$"),
        "Names the request in the service's log; a sane one of the client is echoed."),
    ("Location", "Location", true, Url, "An absolute URL."),
    ("ImportMethods", "OpenStack-image-import-methods", false, Text,
        "The import methods of the site, separated by commas; absent without any."),
    ("StoreIds", "OpenStack-image-store-ids", false, Text, "The stores of the site, separated by commas."),
    ("ContentLength", "Content-Length", true, Count, "Bytes of this answer."),
    ("ContentMd5", "Content-MD5", false, Pattern("^[0-9a-f]{32}$"),
        "MD5 of the whole data in hex, for ranges too; absent when it is not known."),
    ("ContentRange", "Content-Range", true, Pattern("^bytes [0-9]+-[0-9]+/[0-9]+$"), "Which bytes of how many."),
    ("UnsatisfiedRange", "Content-Range", false, Pattern("^bytes [*]/[0-9]+$"),
        "The size of the data, when it is known."),
    ("AcceptRanges", "Accept-Ranges", true, Word("bytes"), "Ranges of bytes are served."),
    ("ETag", "ETag", false, Pattern("^\"[0-9a-f]+\"$"), "The digest of the data, the same in every store."),
    ("WwwAuthenticate", "WWW-Authenticate", true, Text, "Where to get a token."),
    ("Allow", "Allow", true, Text, "The methods of the resource."),
    ("AcceptPatch", "Accept-Patch", true, Text, "The media types of a patch."),
    ("RetryAfter", "Retry-After", true, Count, "Seconds to wait."),
];

/// Makes the type, and what the document says of each.
macro_rules! refusals {
    ($($name:ident $status:literal $meaning:literal $([$header:ident])?;)+) => {
        /// Why a request is not carried out, as far as the document tells them apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::api) enum Refusal {
            $($name,)+
        }

        impl Refusal {
            const ALL: &[Refusal] = &[$(Refusal::$name),+];

            /// Its name in the document, and the answer.
            fn answer(self) -> (&'static str, Answer) {
                match self {
                    $(Refusal::$name => (stringify!($name), Answer {
                        status: $status,
                        meaning: $meaning,
                        shape: Some("Error"),
                        headers: &[$(stringify!($header))?],
                    }),)+
                }
            }
        }
    };
}

refusals! {
    BadRequest 400 "The request is malformed: its path, query, headers or body, or a body that is not expected.";
    Unauthorized 401 "No token, or one that is not valid." [WwwAuthenticate];
    Forbidden 403 "The caller may not do this, or nobody may.";
    NotFound 404 "Not there, or not the caller's to see.";
    MethodNotAllowed 405 "The resource does not have this method." [Allow];
    RequestTimeout 408 "The client sent nothing for too long.";
    Conflict 409 "At odds with what is there: a name that is taken, or a status that does not fit.";
    Gone 410 "The image was deleted during the upload.";
    PreconditionFailed 412 "The data is not the one that If-Match names.";
    ContentTooLarge 413 "Over a limit: the size of a body or an image, or a quota.";
    UnsupportedMediaType 415 "Another Content-Type than the route takes, or data of another format than claimed.";
    UnsupportedPatch 415 "Another Content-Type than the two of a patch." [AcceptPatch];
    RangeNotSatisfiable 416 "The range is malformed, or the data has no byte in it." [UnsatisfiedRange];
    TooManyRequests 429 "The project has too many requests, uploads or downloads at a time." [RetryAfter];
    Unavailable 503 "A service this one depends on is away." [RetryAfter];
}

impl Refusal {
    /// The status, and a reference to the answer.
    pub(super) fn entry(self) -> (String, Value) {
        let (name, answer) = self.answer();
        (answer.status.to_string(), component("responses", name))
    }
}

/// The components that refusals are.
pub(super) fn refusals() -> Value {
    let answers = Refusal::ALL.iter().map(|refusal| refusal.answer());
    object(answers.map(|(name, answer)| (name, describe(&answer))))
}

/// The components that headers are.
pub(super) fn headers() -> Value {
    let headers = HEADERS.iter();
    object(headers.map(|(name, _, is_required, looks, meaning)| {
        let mut schema = match looks {
            Text => json!({"type": "string"}),
            Url => json!({"type": "string", "format": "uri"}),
            Count => json!({"type": "integer", "minimum": 0}),
            Word(word) => json!({"const": word}),
            Pattern(pattern) => json!({"type": "string", "pattern": pattern}),
        };
        if *name == REQUEST_ID {
            schema["maxLength"] = (LONGEST_REQUEST_ID + "req-".len()).into();
        }
        (
            *name,
            json!({"description": meaning, "required": is_required, "schema": schema}),
        )
    }))
}

/// An answer with its headers and its body.
pub(super) fn describe(answer: &Answer) -> Value {
    let named = |name: &&str| HEADERS.iter().find(|header| header.0 == *name);
    let headers = [REQUEST_ID].iter().chain(answer.headers).filter_map(named);
    let mut described = json!({
        "description": answer.meaning,
        "headers": object(headers.map(|(name, field, ..)| (*field, component("headers", name)))),
    });
    if let Some(name) = answer.shape {
        described["content"] = content(name);
    }
    described
}

/// The media types of a shape. What is answered to any client, errors and health, has the form that it accepts.
fn content(name: &str) -> Value {
    let schema = |name| json!({"schema": shape(name)});
    match name {
        "Binary" => object([(BYTES, schema(name))]),
        "Error" | "Health" => object([
            (JSON, schema(name)),
            ("text/html", schema("Text")),
            ("text/plain", schema("Text")),
        ]),
        _ => object([(JSON, schema(name))]),
    }
}
