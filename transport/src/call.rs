//! One request and its answer on a connection of its own.

use crate::Settings;
use crate::dial::{Dialled, dial};
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use url::Position;
use ventros::http::{HttpFailure, HttpMethod, HttpRequest, HttpResponse};
use ventros::kernel::Url;

/// The most bytes of an answer's headers, and the most of them.
const MAX_HEADER_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;

/// Makes a call within its time.
pub(crate) async fn call(settings: &Settings, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
    let (time, was_sent) = (request.timeout, AtomicBool::new(false));
    match tokio::time::timeout(time, exchange(settings, request, &was_sent)).await {
        Ok(answer) => answer,
        Err(_) => Err(HttpFailure::Timeout { was_sent: was_sent.load(Ordering::Relaxed) }),
    }
}

async fn exchange(
    settings: &Settings,
    request: HttpRequest,
    was_sent: &AtomicBool,
) -> Result<HttpResponse, HttpFailure> {
    let unreadable = |_| HttpFailure::Blocked { reason: "url".to_owned() };
    let url = Url::parse(&request.url).map_err(unreadable)?;
    let (reach, most) = (request.reach, request.max_response);
    let message = message(request)?;
    let Dialled { stream, address } = dial(settings, &url, reach).await?;
    let mut wire = http1::Builder::new();
    wire.max_buf_size(MAX_HEADER_BYTES).max_headers(MAX_HEADERS);
    let (mut sender, connection) = wire.handshake(stream).await.map_err(|_| HttpFailure::Connect)?;
    was_sent.store(true, Ordering::Relaxed);
    let answer = Box::pin(async {
        let response = sender.send_request(message).await.map_err(|_| HttpFailure::Interrupted)?;
        read(response, most, address).await
    });
    match select(answer, Box::pin(connection)).await {
        Either::Left((answer, _)) => answer,
        // The connection has ended, but its answer may have come whole.
        Either::Right((_, answer)) => answer.await,
    }
}

/// The request as it goes over the wire.
fn message(request: HttpRequest) -> Result<Request<Full<Bytes>>, HttpFailure> {
    let refuse = |reason: &str| HttpFailure::Blocked { reason: reason.to_owned() };
    let url = url::Url::parse(&request.url).map_err(|_| refuse("url"))?;
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let method = match request.method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
    };
    let target = &url[Position::BeforePath..Position::AfterQuery];
    let message = Request::builder().method(method).uri(target).body(Full::new(Bytes::from(request.body)));
    let mut message = message.map_err(|_| refuse("url"))?;
    let headers = message.headers_mut();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("header"))?;
        headers.append(name, HeaderValue::from_str(value).map_err(|_| refuse("header"))?);
    }
    headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| refuse("url"))?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(message)
}

/// As much of an answer as was asked for; the rest is left where it is.
async fn read(response: Response<Incoming>, most: usize, address: IpAddr) -> Result<HttpResponse, HttpFailure> {
    let (head, mut incoming) = response.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let mut answer =
        HttpResponse { headers, address: Some(address), ..HttpResponse::new(head.status.as_u16(), Vec::new()) };
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(|_| HttpFailure::Interrupted)?.into_data() else { continue };
        let room = most - answer.body.len();
        answer.body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            answer.is_cut = true;
            break;
        }
    }
    Ok(answer)
}
