//! A blocking HTTP/1.1 client that takes every byte seriously.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

pub(crate) struct Client {
    stream: BufReader<Box<dyn Duplex>>,
    pub(crate) tcp: TcpStream,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn plain(addr: SocketAddr) -> Self {
        let tcp = connect(addr);
        let stream: Box<dyn Duplex> = Box::new(tcp.try_clone().unwrap());
        Self { stream: BufReader::new(stream), tcp }
    }

    pub(crate) fn tls(addr: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let tcp = connect(addr);
        let name = "localhost".try_into().unwrap();
        let session = ClientConnection::new(config, name).unwrap();
        let stream: Box<dyn Duplex> = Box::new(StreamOwned::new(session, tcp.try_clone().unwrap()));
        Self { stream: BufReader::new(stream), tcp }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str) {
        self.send(&format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path);
        self.answer("GET").unwrap()
    }

    pub(crate) fn head(&mut self, path: &str) -> Answer {
        self.ask("HEAD", path);
        self.answer("HEAD").unwrap()
    }

    /// Reads one answer; an error is a connection that ended before it did.
    pub(crate) fn answer(&mut self, method: &str) -> io::Result<Answer> {
        let line = self.line()?;
        let status: u16 = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_owned(), value.to_owned());
        }
        let mut body = Vec::new();
        if method != "HEAD" && status != 304 && status != 204 {
            self.body(&headers, &mut body)?;
        }
        Ok(Answer { status, headers, body })
    }

    fn body(&mut self, headers: &BTreeMap<String, String>, body: &mut Vec<u8>) -> io::Result<()> {
        if let Some(len) = headers.get("content-length") {
            return self.exactly(len.parse().unwrap(), body);
        }
        if headers.get("transfer-encoding").is_none() {
            return self.stream.read_to_end(body).map(|_| ());
        }
        loop {
            let len = usize::from_str_radix(&self.line()?, 16).unwrap();
            self.exactly(len, body)?;
            assert_eq!(self.line()?, "");
            if len == 0 {
                return Ok(());
            }
        }
    }

    fn exactly(&mut self, len: usize, body: &mut Vec<u8>) -> io::Result<()> {
        let start = body.len();
        body.resize(start + len, 0);
        self.stream.read_exact(&mut body[start..])
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// What else comes until the connection ends.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).map(|_| rest)
    }

    pub(crate) fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(addr).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

/// A certificate for `localhost` and a client configuration that trusts it.
pub(crate) fn identity() -> (rcgen::CertifiedKey<rcgen::KeyPair>, RootCertStore) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    (made, roots)
}

pub(crate) fn client_config(
    roots: RootCertStore,
    version: &'static rustls::SupportedProtocolVersion,
    alpn: &[&str],
) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}
