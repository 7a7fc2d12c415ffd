//! From an address as it is written to a connection: looked up once, checked whole, dialled where it was checked.

use crate::Settings;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use ventros::http::{Blocked, HttpFailure, Reach};
use ventros::kernel::Url;

/// How long it may take until somebody answers at one of the addresses, and has proved who it is.
const CONNECT: Duration = Duration::from_secs(10);

/// Both ends of a conversation.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection, and whom it is with.
pub(crate) struct Dialled {
    pub stream: TokioIo<Box<dyn Stream>>,
    pub address: IpAddr,
}

fn blocked(reason: Blocked) -> HttpFailure {
    HttpFailure::Blocked { reason: reason.as_str().to_owned() }
}

/// Connects to the host of an address.
pub(crate) async fn dial(settings: &Settings, url: &Url, reach: Reach) -> Result<Dialled, HttpFailure> {
    if reach == Reach::Public {
        settings.guard.check_url(url).map_err(blocked)?;
    }
    let late = |_| HttpFailure::Timeout { was_sent: false };
    tokio::time::timeout(CONNECT, connect(settings, url, reach)).await.map_err(late)?
}

async fn connect(settings: &Settings, url: &Url, reach: Reach) -> Result<Dialled, HttpFailure> {
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    let addresses = look_up(settings, host, url.port()).await?;
    if reach == Reach::Public {
        // One bad address is enough: which of them is dialled is the name server's choice, not ours.
        addresses
            .iter()
            .try_for_each(|address| settings.guard.check_address(url.host(), address.ip()))
            .map_err(blocked)?;
    }
    let (stream, address) = first_that_answers(&addresses).await?;
    // A small request goes at once.
    stream.set_nodelay(true).map_err(|_| HttpFailure::Connect)?;
    let stream: Box<dyn Stream> = if url.is_https() {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| HttpFailure::Tls)?;
        let connector = TlsConnector::from(settings.tls.clone());
        Box::new(connector.connect(name, stream).await.map_err(|_| HttpFailure::Tls)?)
    } else {
        Box::new(stream)
    };
    Ok(Dialled { stream: TokioIo::new(stream), address })
}

async fn look_up(settings: &Settings, host: &str, port: u16) -> Result<Vec<SocketAddr>, HttpFailure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    if let Some(known) = settings.known.get(host) {
        return Ok(known.iter().map(|address| SocketAddr::new(*address, port)).collect());
    }
    let found: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(|_| HttpFailure::Dns)?.collect();
    if found.is_empty() { Err(HttpFailure::Dns) } else { Ok(found) }
}

async fn first_that_answers(addresses: &[SocketAddr]) -> Result<(TcpStream, IpAddr), HttpFailure> {
    for address in addresses {
        if let Ok(stream) = TcpStream::connect(address).await {
            return Ok((stream, address.ip()));
        }
    }
    Err(HttpFailure::Connect)
}
