//! Real calls to servers of this machine that behave, hang, lie and break.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use ventros::http::{Guard, HttpFailure, HttpMethod, HttpRequest, HttpResponse, HttpTransport, Reach};
use ventros_http::{Http, HttpOptions};

const NAME: &str = "hooks.example.com";

/// What a server does with one request.
#[derive(Clone)]
enum Manner {
    Says(Vec<u8>),
    /// Reads and never answers.
    Hangs,
    /// Answers forever.
    Pours,
    /// Closes as soon as it has read.
    Hangup,
}

fn says(text: &str) -> Manner {
    Manner::Says(text.as_bytes().to_vec())
}

struct Server {
    runtime: Runtime,
    port: u16,
    certificate: Vec<u8>,
    taken: Arc<AtomicUsize>,
    last: Arc<std::sync::Mutex<Vec<u8>>>,
}

/// A server with TLS for `name`, or without.
fn server(name: Option<&str>, manner: Manner) -> Server {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let made = name.map(|name| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap());
    let certificate = made.as_ref().map(|made| made.cert.pem().into_bytes()).unwrap_or_default();
    let acceptor = made.map(|made| {
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.key_pair.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    });
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (taken, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(Vec::new())));
    let (count, seen) = (taken.clone(), last.clone());
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (manner, acceptor, count, seen) = (manner.clone(), acceptor.clone(), count.clone(), seen.clone());
            tokio::spawn(async move {
                match acceptor {
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, manner, &count, &seen).await;
                        }
                    }
                    None => serve(stream, manner, &count, &seen).await,
                }
            });
        }
    });
    Server { runtime, port, certificate, taken, last }
}

async fn serve(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    manner: Manner,
    count: &AtomicUsize,
    seen: &std::sync::Mutex<Vec<u8>>,
) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        let Ok(length) = stream.read(&mut part).await else { return };
        request.extend_from_slice(&part[..length]);
        if length == 0 || request.ends_with(b"\"}") || request.ends_with(b"\r\n\r\n") && request.starts_with(b"GET") {
            break;
        }
    }
    count.fetch_add(1, Ordering::SeqCst);
    *seen.lock().unwrap() = request;
    match manner {
        Manner::Says(answer) => {
            let _sent = stream.write_all(&answer).await;
            let _closed = stream.shutdown().await;
        }
        Manner::Hangs => tokio::time::sleep(Duration::from_secs(60)).await,
        Manner::Pours => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(format!("1000\r\n{}\r\n", "x".repeat(4096)).as_bytes()).await;
            }
        }
        Manner::Hangup => {}
    }
}

impl Server {
    fn options(&self) -> HttpOptions {
        let guard = Guard::default().allow_private(NAME).unwrap().allow_http(true);
        let known = [(NAME.to_owned(), vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])].into();
        HttpOptions { guard, trusted: vec![self.certificate.clone()], known }
    }

    fn request(&self, scheme: &str) -> HttpRequest {
        let mut request = HttpRequest::new(HttpMethod::Post, format!("{scheme}://{NAME}:{}/a b?q=\u{e9}#x", self.port));
        request.url = request.url.replace(' ', "%20").replace("#x", "");
        request.body = br#"{"id":"1"}"#.to_vec();
        request.max_response = 4096;
        request.timeout = Duration::from_secs(5);
        request.header("webhook-id", "evt_1")
    }

    fn send_with(&self, options: HttpOptions, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let http = Http::new(self.runtime.handle().clone(), options).unwrap();
        self.runtime.block_on(http.send(request))
    }

    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        self.send_with(self.options(), request)
    }
}

#[test]
fn an_answer_comes_back_whole_over_tls() {
    let server = server(Some(NAME), says("HTTP/1.1 202 Accepted\r\nRetry-After: 5\r\ncontent-length: 2\r\n\r\nok"));
    let answer = server.send(server.request("https")).unwrap();
    assert_eq!((answer.status, answer.body.as_slice(), answer.is_cut), (202, b"ok".as_slice(), false));
    assert_eq!((answer.header("retry-after"), answer.address), (Some("5"), Some(IpAddr::V4(Ipv4Addr::LOCALHOST))));
    let request = String::from_utf8(server.last.lock().unwrap().clone()).unwrap();
    let lines: Vec<String> = request.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines[0], "post /a%20b?q=%c3%a9 http/1.1");
    for line in [
        format!("host: {NAME}:{}", server.port),
        "connection: close".into(),
        "content-length: 10".into(),
        "webhook-id: evt_1".into(),
    ] {
        assert!(lines.contains(&line), "{line}: {lines:?}");
    }
    assert!(request.ends_with(r#"{"id":"1"}"#));
}

#[test]
fn without_tls_where_that_is_allowed() {
    let server = server(None, says("HTTP/1.1 204 No Content\r\n\r\n"));
    assert_eq!(server.send(server.request("http")).map(|answer| answer.status), Ok(204));
    let strict = HttpOptions { guard: Guard::default().allow_private(NAME).unwrap(), ..server.options() };
    let refused = server.send_with(strict, server.request("http"));
    assert_eq!(refused, Err(HttpFailure::Blocked { reason: "scheme".to_owned() }));
}

#[test]
fn a_redirect_is_an_answer_and_not_followed() {
    let server = server(Some(NAME), says("HTTP/1.1 301 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(server.send(server.request("https")).map(|answer| answer.status), Ok(301));
    assert_eq!(server.taken.load(Ordering::SeqCst), 1);
}

#[test]
fn an_endless_answer_is_cut() {
    let server = server(Some(NAME), Manner::Pours);
    let began = Instant::now();
    let answer = server.send(server.request("https")).unwrap();
    assert_eq!((answer.status, answer.body.len(), answer.is_cut), (200, 4096, true));
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn who_hangs_runs_out_of_time() {
    let server = server(Some(NAME), Manner::Hangs);
    let mut request = server.request("https");
    request.timeout = Duration::from_millis(300);
    assert_eq!(server.send(request), Err(HttpFailure::Timeout { was_sent: true }));
}

#[test]
fn who_hangs_up_or_talks_nonsense_interrupts() {
    for manner in [Manner::Hangup, says("hello"), says("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")] {
        let server = server(Some(NAME), manner);
        assert_eq!(server.send(server.request("https")), Err(HttpFailure::Interrupted));
    }
    let headers = "x: y\r\n".repeat(1_000);
    let server = server(Some(NAME), says(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n")));
    assert_eq!(server.send(server.request("https")), Err(HttpFailure::Interrupted));
}

#[test]
fn a_certificate_must_be_trusted_and_of_that_name() {
    let server = server(Some(NAME), says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let untrusted = HttpOptions { trusted: Vec::new(), ..server.options() };
    assert_eq!(server.send_with(untrusted, server.request("https")), Err(HttpFailure::Tls));
    let other = self::server(Some("other.example.com"), says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(other.send(other.request("https")), Err(HttpFailure::Tls));
    assert_eq!((server.taken.load(Ordering::SeqCst), other.taken.load(Ordering::SeqCst)), (0, 0));
}

#[test]
fn a_public_name_that_leads_inside_is_refused_before_anything_is_sent() {
    let server = server(Some(NAME), says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let port = Guard::default().allow_port(server.port);
    let address = HttpFailure::Blocked { reason: "address".to_owned() };
    let known =
        |addresses: &[&str]| [(NAME.to_owned(), addresses.iter().map(|text| text.parse().unwrap()).collect())].into();
    for addresses in [&["127.0.0.1"][..], &["93.184.215.14", "10.0.0.5"], &["::ffff:127.0.0.1"]] {
        let options = HttpOptions { guard: port.clone(), known: known(addresses), ..server.options() };
        assert_eq!(server.send_with(options, server.request("https")), Err(address.clone()), "{addresses:?}");
    }
    let mut literal = server.request("https");
    literal.url = format!("https://127.0.0.1:{}/", server.port);
    let options = HttpOptions { guard: port, ..server.options() };
    assert_eq!(server.send_with(options, literal), Err(address));
    assert_eq!(server.taken.load(Ordering::SeqCst), 0);
}

#[test]
fn what_the_host_itself_named_is_not_judged() {
    let server = server(None, says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let mut request = server.request("http");
    request.reach = Reach::Configured;
    let options = HttpOptions { guard: Guard::default(), ..server.options() };
    assert_eq!(server.send_with(options, request).map(|answer| answer.status), Ok(200));
}

#[test]
fn nobody_there() {
    let server = server(None, Manner::Hangs);
    let mut request = server.request("http");
    let closed = server.runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap().local_addr().unwrap();
    request.url = format!("http://{NAME}:{}/", closed.port());
    assert_eq!(server.send(request), Err(HttpFailure::Connect));
    let mut request = server.request("http");
    request.url = "http://no-such-host.invalid/".to_owned();
    let options = HttpOptions { guard: Guard::default().allow_http(true), ..server.options() };
    assert_eq!(server.send_with(options, request), Err(HttpFailure::Dns));
}

#[test]
fn whoever_waits_needs_no_runtime() {
    let server = server(None, says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let http = Http::new(server.runtime.handle().clone(), server.options()).unwrap();
    let answer =
        std::thread::scope(|scope| scope.spawn(|| futures_executor(http.send(server.request("http")))).join().unwrap());
    assert_eq!(answer.map(|answer| answer.status), Ok(200));
}

/// Polls on this thread, as a host without tokio does.
fn futures_executor<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::yield_now(),
        }
    }
}
