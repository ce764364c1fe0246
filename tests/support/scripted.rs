//! An S3 server of one bucket that answers as a test says: right, or in a mood. It speaks over plain sockets, since no
//! HTTP library would send half of what it has to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use md5::{Digest, Md5};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::proxy::is;
use super::store::Endpoint;

/// How an answer differs from the right one. The work is done first unless [`Mood::Undone`] says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Under 206 the bytes before those asked for, with a Content-Range that says so.
    ShiftedRange,
    /// The right bytes with a Content-Range of a larger object.
    OtherTotal,
    /// The bytes of the range under 200 without a Content-Range.
    RangeUntold,
    /// 200 with everything.
    RangeIgnored,
    /// A byte less than asked for, and a length that fits it.
    Shorter,
    /// A byte more than asked for, and a length that fits it.
    Longer,
    /// Half the bytes that the length promises.
    Half,
    /// No length.
    NoLength,
    WeakEtag,
    OtherEtag,
    NoEtag,
    EmptyEtag,
    /// Bytes in a coding of their own.
    Gzip,
    /// Blanks before the declaration of the document.
    Blanks,
    /// 200 with a page of some gateway.
    Page,
    /// 200 with an error document.
    ErrorUnder200,
    /// Neither head nor body.
    StallInHead,
    /// A head, a byte, and silence.
    StallInBody,
    /// A head, and blanks for ever.
    Trickle,
    /// This status with an error document of this code; 404 without a code is that of a gateway.
    Status(u16, &'static str),
    /// The same, and `Retry-After: 1`.
    RetryAfter(u16),
    /// The right answer, and nothing done.
    Undone,
    /// The right answer, and a byte of the object left out.
    Truncated,
    /// The right answer, and a byte of the object changed.
    Corrupted,
    /// The right answer, and no metadata.
    Anonymous,
}

#[derive(Clone, Default)]
struct Object {
    bytes: Vec<u8>,
    etag: String,
    metadata: Vec<(String, String)>,
}

#[derive(Default)]
struct Multipart {
    key: String,
    metadata: Vec<(String, String)>,
    parts: BTreeMap<u32, Vec<u8>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Multipart>,
    opened: usize,
    moods: VecDeque<(&'static str, Mood, bool, usize)>,
    seen: Vec<String>,
}

pub struct ScriptedS3 {
    url: String,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl ScriptedS3 {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        #[expect(clippy::disallowed_methods, reason = "ended by Drop")]
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    // A client that gives up closes its end.
                    let _ = serve(stream, &state).await;
                });
            }
        });
        Self {
            url,
            state,
            serving,
        }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            profile: "minio".into(),
            url: self.url.clone(),
            access_key: "AKIDEXAMPLE".into(),
            secret_key: "not-a-secret".into(),
            region: "us-east-1".into(),
        }
    }

    /// The next `times` requests of an operation, see [`is`], are done and answered in this mood.
    pub fn answer(&self, operation: &'static str, mood: Mood, times: usize) {
        let mut state = self.state.lock().unwrap();
        state.moods.push_back((operation, mood, true, times));
    }

    /// The same without doing anything.
    pub fn answer_undone(&self, operation: &'static str, mood: Mood, times: usize) {
        let mut state = self.state.lock().unwrap();
        state.moods.push_back((operation, mood, false, times));
    }

    pub fn heal(&self) {
        self.state.lock().unwrap().moods.clear();
    }

    /// Keys of objects and of open uploads.
    pub fn holds(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let open = state.uploads.values().map(|upload| upload.key.clone());
        state.objects.keys().cloned().chain(open).collect()
    }

    /// How many requests of an operation have come so far.
    pub fn count(&self, operation: &str) -> usize {
        let state = self.state.lock().unwrap();
        let of = |line: &&String| {
            let (method, path) = line.split_once(' ').unwrap();
            is(operation, method, path)
        };
        state.seen.iter().filter(of).count()
    }
}

impl Drop for ScriptedS3 {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    }

    fn key(&self) -> &str {
        let path = self.target.split('?').next().unwrap();
        path.trim_start_matches('/')
            .split_once('/')
            .map_or("", |(_, key)| key)
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let is_user = |(name, _): &&(String, String)| name.starts_with("x-amz-meta-");
        self.headers.iter().filter(is_user).cloned().collect()
    }
}

#[derive(Default)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Of what a HEAD does not send, or to promise more than there is.
    length: Option<usize>,
}

impl Answer {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    fn error(status: u16, code: &str) -> Self {
        let body = match code {
            "" => "<html>scripted</html>".to_owned(),
            code => format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"),
        };
        Self::new(status, body)
    }

    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

async fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut first = lines[0].split(' ').map(str::to_owned);
    let mut request = Request {
        method: first.next().unwrap(),
        target: first.next().unwrap(),
        headers: lines[1..]
            .iter()
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap();
                (name.to_ascii_lowercase(), value.trim().to_owned())
            })
            .collect(),
        body: Vec::new(),
    };
    if request.header("expect").is_some() {
        reader.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let length = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).await?;
    Ok(Some(request))
}

async fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let Some(request) = read(&mut reader).await? else {
        return Ok(());
    };
    let (mood, answer) = {
        let mut state = state.lock().unwrap();
        state
            .seen
            .push(format!("{} {}", request.method, request.target));
        let next = state.moods.iter_mut().find(|(operation, _, _, times)| {
            *times > 0 && is(operation, &request.method, &request.target)
        });
        let (mood, is_done) = match next {
            Some((_, mood, is_done, times)) => {
                *times -= 1;
                (Some(*mood), *is_done && *mood != Mood::Undone)
            }
            None => (None, true),
        };
        let answer = if is_done {
            state.act(&request, mood)
        } else {
            // What the right answer would have been.
            let (objects, uploads) = (state.objects.clone(), state.snapshot());
            let answer = state.act(&request, None);
            (state.objects, state.uploads) = (objects, uploads);
            answer
        };
        (mood, answer)
    };
    send(&mut reader, &request, answer, mood).await?;
    reader.shutdown().await
}

/// Changes a right answer as the mood has it, and sends it.
async fn send(
    out: &mut BufReader<TcpStream>,
    request: &Request,
    mut answer: Answer,
    mood: Option<Mood>,
) -> std::io::Result<()> {
    let has_body = request.method != "HEAD";
    match mood {
        Some(Mood::StallInHead) => return stall().await,
        Some(Mood::Status(status, code)) => answer = Answer::error(status, code),
        Some(Mood::RetryAfter(status)) => {
            answer = Answer::error(status, "Wait").with("retry-after", "1");
        }
        Some(Mood::Page) => answer = Answer::new(200, "<html>signed in?</html>"),
        Some(Mood::ErrorUnder200) => answer = Answer::error(200, "InternalError"),
        Some(Mood::Blanks) => answer.body.splice(..0, *b" \n \n").for_each(drop),
        Some(Mood::Gzip) => answer = answer.with("content-encoding", "gzip"),
        Some(Mood::Half) => {
            answer.length = Some(answer.length.unwrap_or(answer.body.len()));
            answer.body.truncate(answer.body.len() / 2);
        }
        Some(Mood::Shorter) => {
            answer.body.pop();
            answer.length = answer.length.map(|length| length - 1);
        }
        Some(Mood::Longer) => {
            answer.body.push(b'!');
            answer.length = answer.length.map(|length| length + 1);
        }
        Some(Mood::WeakEtag | Mood::OtherEtag | Mood::NoEtag | Mood::EmptyEtag) => {
            change_etag(&mut answer, mood);
        }
        Some(Mood::Anonymous) => {
            answer
                .headers
                .retain(|(name, _)| !name.starts_with("x-amz-meta-"));
        }
        _ => {}
    }
    let mut head = format!(
        "HTTP/1.1 {} scripted\r\nconnection: close\r\n",
        answer.status
    );
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match mood {
        Some(Mood::NoLength) => {}
        Some(Mood::StallInBody | Mood::Trickle) if has_body => {
            head.push_str("content-length: 1000000\r\n");
        }
        _ => {
            let length = answer.length.unwrap_or(answer.body.len());
            // 204 has none.
            if answer.status != 204 {
                head.push_str(&format!("content-length: {length}\r\n"));
            }
        }
    }
    out.write_all(head.as_bytes()).await?;
    out.write_all(b"\r\n").await?;
    match mood {
        Some(Mood::StallInBody) if has_body => {
            out.write_all(b" ").await?;
            stall().await
        }
        Some(Mood::Trickle) if has_body => loop {
            out.write_all(b" ").await?;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        },
        _ if has_body => out.write_all(&answer.body).await,
        _ => Ok(()),
    }
}

/// Never ends; the client does.
async fn stall() -> std::io::Result<()> {
    std::future::pending().await
}

/// In the header and in the document.
fn change_etag(answer: &mut Answer, mood: Option<Mood>) {
    let change = |etag: &str| match mood {
        Some(Mood::WeakEtag) => format!("W/{etag}"),
        Some(Mood::OtherEtag) => "\"0123456789abcdef0123456789abcdef\"".to_owned(),
        _ => "\"\"".to_owned(),
    };
    for (name, value) in &mut answer.headers {
        if name == "etag" {
            *value = change(value);
        }
    }
    if mood == Some(Mood::NoEtag) {
        answer.headers.retain(|(name, _)| name != "etag");
    }
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if let (Some(from), Some(to)) = (text.find("<ETag>"), text.find("</ETag>")) {
        let etag = &text[from + 6..to];
        let etag = match mood {
            Some(Mood::NoEtag) => String::new(),
            _ => format!("<ETag>{}</ETag>", change(etag)),
        };
        answer.body = format!("{}{etag}{}", &text[..from], &text[to + 7..]).into_bytes();
    }
}

impl State {
    fn snapshot(&self) -> BTreeMap<String, Multipart> {
        let copy = |(id, upload): (&String, &Multipart)| {
            let copy = Multipart {
                key: upload.key.clone(),
                metadata: upload.metadata.clone(),
                parts: upload.parts.clone(),
            };
            (id.clone(), copy)
        };
        self.uploads.iter().map(copy).collect()
    }

    /// Does what is asked, and answers as S3 does.
    fn act(&mut self, request: &Request, mood: Option<Mood>) -> Answer {
        let key = request.key().to_owned();
        let (method, upload) = (request.method.as_str(), request.query("uploadId"));
        if key.is_empty() {
            return self.list(request);
        }
        match (method, upload) {
            ("POST", None) => {
                self.opened += 1;
                let id = format!("u{}", self.opened);
                let (metadata, parts) = (request.metadata(), BTreeMap::new());
                let upload = Multipart {
                    key,
                    metadata,
                    parts,
                };
                self.uploads.insert(id.clone(), upload);
                Answer::new(
                    200,
                    format!(
                        "<?xml version=\"1.0\"?><InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                    ),
                )
            }
            ("PUT", Some(id)) => {
                let Some(upload) = self.uploads.get_mut(id) else {
                    return Answer::error(404, "NoSuchUpload");
                };
                let number = request.query("partNumber").unwrap().parse().unwrap();
                upload.parts.insert(number, request.body.clone());
                Answer::new(200, "").with("etag", quoted(&hex(&request.body)))
            }
            ("POST", Some(id)) => {
                let Some(upload) = self.uploads.remove(id) else {
                    return Answer::error(404, "NoSuchUpload");
                };
                let digests: Vec<u8> = upload.parts.values().flat_map(Md5::digest).collect();
                let etag = format!("{}-{}", hex(&digests), upload.parts.len());
                let bytes = upload.parts.into_values().flatten().collect();
                self.store(upload.key, bytes, &etag, upload.metadata, mood);
                Answer::new(
                    200,
                    format!(
                        "<?xml version=\"1.0\"?><CompleteMultipartUploadResult><ETag>\"{etag}\"</ETag></CompleteMultipartUploadResult>"
                    ),
                )
            }
            ("DELETE", Some(id)) => match self.uploads.remove(id) {
                Some(_) => Answer::new(204, ""),
                None => Answer::error(404, "NoSuchUpload"),
            },
            ("PUT", None) => {
                let etag = hex(&request.body);
                self.store(key, request.body.clone(), &etag, request.metadata(), mood);
                Answer::new(200, "").with("etag", quoted(&etag))
            }
            ("DELETE", None) => {
                self.objects.remove(&key);
                Answer::new(204, "")
            }
            _ => self.read(request, &key, mood),
        }
    }

    fn store(
        &mut self,
        key: String,
        mut bytes: Vec<u8>,
        etag: &str,
        metadata: Vec<(String, String)>,
        mood: Option<Mood>,
    ) {
        let mut etag = etag.to_owned();
        match mood {
            Some(Mood::Truncated) => {
                bytes.pop();
            }
            Some(Mood::Corrupted) => {
                bytes[0] ^= 1;
                etag = hex(&bytes);
            }
            _ => {}
        }
        let object = Object {
            bytes,
            etag: quoted(&etag),
            metadata,
        };
        self.objects.insert(key, object);
    }

    fn read(&self, request: &Request, key: &str, mood: Option<Mood>) -> Answer {
        let Some(object) = self.objects.get(key) else {
            return Answer::error(404, "NoSuchKey");
        };
        let wanted = request.header("if-match");
        if wanted.is_some_and(|etag| etag != object.etag) {
            return Answer::error(412, "PreconditionFailed");
        }
        let size = object.bytes.len();
        let range = request
            .header("range")
            .filter(|_| mood != Some(Mood::RangeIgnored));
        let (status, bytes, told) = match range {
            None => (200, object.bytes.clone(), None),
            Some(range) => {
                let (from, to) = range
                    .strip_prefix("bytes=")
                    .unwrap()
                    .split_once('-')
                    .unwrap();
                let (mut from, mut to): (usize, usize) =
                    (from.parse().unwrap(), to.parse().unwrap());
                if mood == Some(Mood::ShiftedRange) {
                    (from, to) = (from - 1, to - 1);
                }
                let total = size + usize::from(mood == Some(Mood::OtherTotal));
                let told = format!("bytes {from}-{to}/{total}");
                let bytes = object.bytes[from..=to.min(size - 1)].to_vec();
                match mood {
                    Some(Mood::RangeUntold) => (200, bytes, None),
                    _ => (206, bytes, Some(told)),
                }
            }
        };
        let mut answer = Answer::new(status, bytes).with("etag", object.etag.clone());
        answer.headers.extend(object.metadata.clone());
        if let Some(told) = told {
            answer = answer.with("content-range", told);
        }
        answer.length = Some(answer.body.len());
        answer
    }

    fn list(&self, request: &Request) -> Answer {
        if request.method != "GET" {
            return Answer::new(200, "");
        }
        if request.query("uploads").is_some() {
            let one = |(id, upload): (&String, &Multipart)| {
                let key = &upload.key;
                format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>")
            };
            let all: String = self.uploads.iter().map(one).collect();
            return Answer::new(
                200,
                format!(
                    "<?xml version=\"1.0\"?><ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{all}</ListMultipartUploadsResult>"
                ),
            );
        }
        let one = |key: &String| format!("<Contents><Key>{key}</Key></Contents>");
        let all: String = self.objects.keys().map(one).collect();
        Answer::new(
            200,
            format!(
                "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{all}</ListBucketResult>"
            ),
        )
    }
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn hex(bytes: &[u8]) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
