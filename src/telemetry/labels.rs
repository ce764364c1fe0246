//! The closed sets that metrics are labelled with. A label is never free text: no ids, no messages.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// Declares an enum that encodes as one of a few words.
macro_rules! label {
    (
        $(#[$doc:meta])*
        $name:ident { $( $(#[$variant_doc:meta])* $variant:ident = $word:literal ),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum $name {
            $( $(#[$variant_doc])* $variant, )+
        }

        impl $name {
            /// Every value.
            #[allow(dead_code, reason = "some are counted only once they happen")]
            pub(crate) const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The word that stands in the metrics.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                self.as_str().encode(encoder)
            }
        }
    };
}

label! {
    /// The method of a request.
    Method {
        /// `GET`.
        Get = "GET",
        /// `HEAD`.
        Head = "HEAD",
        /// `POST`.
        Post = "POST",
        /// `PUT`.
        Put = "PUT",
        /// `PATCH`.
        Patch = "PATCH",
        /// `DELETE`.
        Delete = "DELETE",
        /// Any other; the API has none.
        Other = "other",
    }
}

impl From<&http::Method> for Method {
    fn from(method: &http::Method) -> Self {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == method.as_str())
            .unwrap_or(Self::Other)
    }
}

label! {
    /// How an upload ended.
    UploadOutcome {
        /// The image has its data.
        Active = "active",
        /// The data waits for an import.
        Staged = "staged",
        /// A rule of the API forbade it: quota, size cap, a declared length that was not kept.
        Refused = "refused",
        /// The store, the catalog or this service failed.
        Failed = "failed",
        /// The client went away.
        Cancelled = "cancelled",
    }
}

label! {
    /// How a body ended.
    BodyEnd {
        /// Its last byte was taken.
        Complete = "complete",
        /// It was dropped before its end: the other side went away.
        Cancelled = "cancelled",
        /// It broke, or ended short of its declared length.
        Failed = "failed",
    }
}

label! {
    /// A call of the S3 protocol.
    StoreOperation {
        /// PutObject.
        PutObject = "put_object",
        /// CopyObject.
        CopyObject = "copy_object",
        /// GetObject, until the head of the answer.
        GetObject = "get_object",
        /// HeadObject.
        HeadObject = "head_object",
        /// DeleteObject.
        DeleteObject = "delete_object",
        /// CreateMultipartUpload.
        CreateUpload = "create_upload",
        /// UploadPart.
        UploadPart = "upload_part",
        /// UploadPartCopy.
        CopyPart = "copy_part",
        /// CompleteMultipartUpload.
        CompleteUpload = "complete_upload",
        /// AbortMultipartUpload.
        AbortUpload = "abort_upload",
        /// ListMultipartUploads.
        ListUploads = "list_uploads",
        /// ListObjectsV2.
        ListObjects = "list_objects",
        /// HeadBucket.
        HeadBucket = "head_bucket",
        /// CreateBucket.
        CreateBucket = "create_bucket",
    }
}

label! {
    /// How a call of a store ended, after its retries.
    StoreOutcome {
        /// It succeeded.
        Ok = "ok",
        /// The object, bucket or upload is not there.
        Missing = "missing",
        /// The store refused the credentials or the right.
        Denied = "denied",
        /// The store has no room left.
        Full = "full",
        /// The object is no longer the one that was meant.
        Changed = "changed",
        /// The store is overloaded, away or too slow.
        Busy = "busy",
        /// The answer does not fit what was asked.
        Invalid = "invalid",
        /// Anything else.
        Other = "other",
    }
}

label! {
    /// Which way a broken-off upload was settled.
    Direction {
        /// The object was whole: the image became active.
        Forward = "forward",
        /// The parts were thrown away: the image went back to queued.
        Back = "back",
    }
}

label! {
    /// Work in the background.
    Job {
        /// Settling broken-off uploads.
        Recover = "recover",
        /// Removing what is due on the garbage list.
        Sweep = "sweep",
        /// Aborting multipart uploads that nobody owns.
        Reap = "reap",
        /// Counting what waits on the garbage list.
        Count = "count",
        /// Carrying imports out.
        Import = "import",
    }
}

label! {
    /// How a unit of a job ended.
    JobOutcome {
        /// All that was to be done is done.
        Ok = "ok",
        /// Some of it is not, and will be tried again.
        Failed = "failed",
    }
}

label! {
    /// How it was found out who holds a token.
    LookupResult {
        /// From memory.
        Hit = "hit",
        /// By asking Keystone.
        Miss = "miss",
        /// From memory past its time, since Keystone is away.
        Stale = "stale",
    }
}

label! {
    /// What Keystone said about a token.
    ValidationOutcome {
        /// Who holds it.
        Valid = "valid",
        /// That it is none, or no longer.
        Invalid = "invalid",
        /// Nothing, or nothing that is an answer.
        Unavailable = "unavailable",
    }
}

label! {
    /// What a project had too many of.
    LimitKind {
        /// Requests a second.
        Requests = "requests",
        /// Uploads at once.
        Uploads = "uploads",
        /// Downloads at once.
        Downloads = "downloads",
    }
}

/// Labels of a request over a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Limited {
    pub(super) limit: LimitKind,
}

/// Labels of a token looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Lookup {
    pub(super) result: LookupResult,
}

/// Labels of a token validated.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Validation {
    pub(super) outcome: ValidationOutcome,
}

/// Labels of a finished request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) route: String,
    pub(super) status: u16,
}

/// Labels of what is told by route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByRoute {
    pub(super) route: String,
}

/// Labels of what is told by store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByStore {
    pub(super) store: String,
}

/// Labels of a call of a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StoreCall {
    pub(super) store: String,
    pub(super) operation: StoreOperation,
    pub(super) outcome: StoreOutcome,
}

/// Labels of what is told by operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByOperation {
    pub(super) operation: StoreOperation,
}

/// Labels of a finished upload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Upload {
    pub(super) outcome: UploadOutcome,
}

/// Labels of a finished download.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Download {
    pub(super) end: BodyEnd,
}

/// Labels of a settled upload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Recovery {
    pub(super) direction: Direction,
}

/// Labels of units of a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct JobRun {
    pub(super) job: Job,
    pub(super) store: String,
    pub(super) outcome: JobOutcome,
}

/// Labels of what is told by job and store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByJob {
    pub(super) job: Job,
    pub(super) store: String,
}

/// Labels of the build.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    pub(super) version: &'static str,
}
