//! What the tests stand on: a provider of our own, and a client that writes raw HTTP.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midwatch_broker::{
    Broker, BrokerConfig, CredentialSource, Egress, Grant, Limits, ModelGrant, Record, ServerKey,
    Sink, Upstream, WireApi,
};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::mpsc;

/// The real credential of the tests.
pub(crate) const SECRET: &str = "sk-ant-real-credential-of-the-tests";

/// Nothing here takes longer than this unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A provider on loopback: it notes the heads it gets and answers by a script.
pub(crate) struct Provider {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

/// What a provider does with one connection after it has read a request: by how many came before
/// it, and its head in lower case.
pub(crate) type Script = Arc<dyn Fn(usize, &str) -> Vec<Step> + Send + Sync>;

/// One step of an answer.
#[derive(Clone)]
pub(crate) enum Step {
    /// Send this.
    Send(Vec<u8>),
    /// Wait until the test says go.
    Wait(Arc<tokio::sync::Notify>),
    /// End the connection here.
    Cut,
}

pub(crate) fn send(text: impl AsRef<[u8]>) -> Step {
    Step::Send(text.as_ref().to_vec())
}

/// An answer with a length.
pub(crate) fn whole(status: &str, headers: &str, body: &str) -> Step {
    send(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

impl Provider {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, script, None)
    }

    pub(crate) async fn start_tls(script: Script, tls: tokio_rustls::TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, script, Some(tls))
    }

    fn serve(
        listener: TcpListener,
        script: Script,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = heads.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (noted, script, tls) = (noted.clone(), script.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => talk(stream, noted, script).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, noted, script).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, heads }
    }

    /// An answer that is the same for every request.
    pub(crate) async fn answering(steps: Vec<Step>) -> Self {
        Self::start(Arc::new(move |_, _| steps.clone())).await
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

async fn talk<S>(mut stream: S, heads: Arc<Mutex<Vec<String>>>, script: Script)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let Some(head) = read_head(&mut stream).await else {
            return;
        };
        let lower = head.to_lowercase();
        let number = {
            let mut heads = heads.lock().unwrap();
            heads.push(lower.clone());
            heads.len() - 1
        };
        if !skip_body(&mut stream, &head).await {
            return;
        }
        for step in script(number, &lower) {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                    let _ = stream.flush().await;
                }
                Step::Wait(go) => go.notified().await,
                Step::Cut => return,
            }
        }
    }
}

/// Reads to the empty line.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (n, value) = line.split_once(':')?;
        n.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

async fn skip_body<S: AsyncRead + Unpin>(stream: &mut S, head: &str) -> bool {
    let chunked = header(head, "transfer-encoding").is_some_and(|v| v.contains("chunked"));
    if chunked {
        return read_chunks(stream).await.is_some();
    }
    let length: usize = header(head, "content-length").map_or(0, |v| v.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.is_ok()
}

/// Reads a chunked body whole; `None` when it is cut.
pub(crate) async fn read_chunks<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await.ok()?);
        }
        let size = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// A whole answer as a client sees it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// The body ended before its end.
    pub(crate) cut: bool,
}

impl Reply {
    pub(crate) fn refusal(&self) -> Option<&str> {
        header(&self.head, "x-midwatch-refusal")
    }
}

/// Reads one answer; `head_only` for answers to HEAD.
pub(crate) async fn read_reply<S: AsyncRead + Unpin>(stream: &mut S, head_only: bool) -> Reply {
    let head = tokio::time::timeout(LONG, read_head(stream)).await.expect("an answer in time");
    let head = head.unwrap_or_default();
    let status = head.split(' ').nth(1).map_or(0, |s| s.parse().unwrap());
    if head_only || head.is_empty() {
        return Reply { status, head, body: String::new(), cut: false };
    }
    let body = if header(&head, "transfer-encoding").is_some() {
        read_chunks(stream).await
    } else {
        let length = header(&head, "content-length").map_or(0, |v| v.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok().map(|_| body)
    };
    let cut = body.is_none();
    let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
    Reply { status, head, body, cut }
}

/// The records of a run, as they come.
pub(crate) struct Records(mpsc::UnboundedSender<Record>);

impl Sink for Records {
    fn record(&self, _run: &str, record: &Record) {
        let _ = self.0.send(record.clone());
    }
}

/// A broker with one run.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) folder: TempDir,
    pub(crate) records: mpsc::UnboundedReceiver<Record>,
    pub(crate) token: String,
    pub(crate) grant: Grant,
}

pub(crate) fn key() -> ServerKey {
    ServerKey::new([3; 32])
}

/// An Anthropic model at a base URL.
pub(crate) fn model(url: &str) -> ModelGrant {
    ModelGrant {
        credential: Some(CredentialSource::AnthropicKey(SECRET.into())),
        upstream: Upstream::parse(url).unwrap(),
        api: WireApi::Anthropic,
    }
}

impl World {
    pub(crate) fn new(model: Option<ModelGrant>, egress: Egress) -> Self {
        Self::with(BrokerConfig::new(key()), model, egress, Limits::default())
    }

    pub(crate) fn with(
        config: BrokerConfig,
        model: Option<ModelGrant>,
        egress: Egress,
        limits: Limits,
    ) -> Self {
        let broker = Broker::new(config).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (sender, records) = mpsc::unbounded_channel();
        let grant = Grant {
            run: "t-implement-1".into(),
            socket_dir: folder.path().join("out"),
            model,
            egress,
            limits,
            sink: Some(Arc::new(Records(sender))),
        };
        let token = broker.open(grant.clone()).unwrap().token.expose_secret().to_owned();
        Self { broker, folder, records, token, grant }
    }

    pub(crate) fn gateway(&self) -> PathBuf {
        self.grant.socket_dir.join("gateway.sock")
    }

    pub(crate) fn proxy(&self) -> PathBuf {
        self.grant.socket_dir.join("proxy.sock")
    }

    /// One request to the gateway with the run's token as a key.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let headers = format!("x-api-key: {}\r\n", self.token);
        ask(&self.gateway(), method, path, &headers, body).await
    }

    /// The next record.
    pub(crate) async fn record(&mut self) -> Record {
        tokio::time::timeout(LONG, self.records.recv()).await.expect("a record").unwrap()
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(
    socket: &Path,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Reply {
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    raw(socket, text.as_bytes(), method == "HEAD").await
}

/// Raw bytes on a connection of their own, and the first answer to them.
pub(crate) async fn raw(socket: &Path, bytes: &[u8], head_only: bool) -> Reply {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    // The other side may refuse before it has read all.
    let _ = stream.write_all(bytes).await;
    read_reply(&mut stream, head_only).await
}
