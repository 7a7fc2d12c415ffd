//! A pooler as small as can be: its clients speak to a server that is reached by a socket in a folder, over connections that it
//! lends to them for a session or for a transaction.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// For how long a client has a connection of the server.
#[derive(Clone, Copy, PartialEq)]
pub enum Lends {
    Sessions,
    Transactions,
}

struct Pooler {
    socket: PathBuf,
    lends: Lends,
    /// The one that was used last is lent first.
    free: Mutex<Vec<UnixStream>>,
}

/// Starts one; it works until the program ends.
pub fn start(folder: &Path, lends: Lends) -> SocketAddr {
    let socket = folder.join(".s.PGSQL.5432");
    let pooler = Arc::new(Pooler { socket, lends, free: Mutex::default() });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (pooler, client) = (pooler.clone(), client.unwrap());
            std::thread::spawn(move || match pooler.serve(client) {
                Ok(()) => {}
                Err(error) if [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()) => {}
                Err(error) => panic!("the pooler failed: {error}"),
            });
        }
    });
    address
}

impl Pooler {
    fn serve(&self, mut client: TcpStream) -> Result<()> {
        let startup = loop {
            let message = untagged(&mut client)?;
            // Whoever asks for encryption first is told that there is none.
            if message[4..8] != [0, 3, 0, 0] {
                client.write_all(b"N")?;
                continue;
            }
            break message;
        };
        // What a new connection of the server says at first is what the client hears.
        let mut fresh = UnixStream::connect(&self.socket)?;
        fresh.write_all(&startup)?;
        let ready = until_ready(&mut fresh, &mut client)?;
        let mut held = Some(fresh);
        if self.lends == Lends::Transactions {
            self.free.lock().unwrap().extend(held.take());
        }
        client.write_all(&ready)?;
        loop {
            let message = tagged(&mut client)?;
            if message[0] == b'X' {
                return Ok(());
            }
            let mut server = match held.take() {
                Some(server) => server,
                None => self.lend(&startup)?,
            };
            server.write_all(&message)?;
            // Only these are answered by the word that the server is ready.
            let ready = match message[0] {
                b'Q' | b'S' => until_ready(&mut server, &mut client)?,
                _ => Vec::new(),
            };
            if ready.last() == Some(&b'I') && self.lends == Lends::Transactions {
                self.free.lock().unwrap().push(server);
            } else {
                held = Some(server);
            }
            // Who hears that it is ready may be lent it again at once.
            client.write_all(&ready)?;
        }
    }

    fn lend(&self, startup: &[u8]) -> Result<UnixStream> {
        if let Some(server) = self.free.lock().unwrap().pop() {
            return Ok(server);
        }
        let mut server = UnixStream::connect(&self.socket)?;
        server.write_all(startup)?;
        until_ready(&mut server, &mut std::io::sink())?;
        Ok(server)
    }
}

/// Hands on what the server says until it is ready, and gives that word, which ends with whether a transaction is open.
fn until_ready(server: &mut impl Read, client: &mut impl Write) -> Result<Vec<u8>> {
    loop {
        let message = tagged(server)?;
        if message[0] == b'Z' {
            return Ok(message);
        }
        client.write_all(&message)?;
    }
}

fn tagged(from: &mut impl Read) -> Result<Vec<u8>> {
    let mut tag = [0];
    from.read_exact(&mut tag)?;
    Ok([&tag[..], &untagged(from)?].concat())
}

fn untagged(from: &mut impl Read) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    from.read_exact(&mut rest)?;
    Ok([&length[..], &rest].concat())
}
