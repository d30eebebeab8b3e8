//! Certificates that can be replaced while the server runs.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ProducesTickets, ServerSessionMemoryCache},
};

use crate::Error;

/// Most certificates taken from a chain file; further ones are left out. Source: chains of public authorities have 2 to 4.
const MAX_CHAIN: usize = 32;
/// Sessions kept for clients that resume by id (TLS 1.2); tickets need no memory.
const KEPT_SESSIONS: usize = 1024;

/// The server's identity for TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1 by ALPN.
///
/// Clones share one certificate: a reload is seen by each handshake that begins afterwards, on
/// all cores. Session tickets stay valid over a reload.
#[derive(Clone)]
pub struct Tls {
    current: Arc<ArcSwap<ServerConfig>>,
    tickets: Arc<dyn ProducesTickets>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Takes a certificate chain (own certificate first) and its private key, both PEM.
    ///
    /// # Errors
    ///
    /// [`Error::Pem`] when one of them cannot be read or holds nothing, [`Error::Certificate`]
    /// when they do not belong together or cannot be used.
    pub fn load(cert_pem: &[u8], key_pem: &[u8]) -> Result<Self, Error> {
        let tickets = aws_lc_rs::Ticketer::new().map_err(|source| Error::Certificate { source })?;
        let config = server_config(cert_pem, key_pem, &tickets)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(config)), tickets })
    }

    /// Replaces the certificate. On an error the old one stays.
    ///
    /// # Errors
    ///
    /// As [`Tls::load`].
    pub fn reload(&self, cert: &[u8], key: &[u8]) -> Result<(), Error> {
        self.current.store(Arc::new(server_config(cert, key, &self.tickets)?));
        Ok(())
    }

    /// What the next handshake uses.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

fn server_config(
    cert: &[u8],
    key: &[u8],
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, Error> {
    let pem = |what| move |source| Error::Pem { what, source };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert)
        .take(MAX_CHAIN)
        .collect::<Result<_, _>>()
        .map_err(pem("certificate chain"))?;
    if chain.is_empty() {
        return Err(pem("certificate chain")(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(pem("private key"))?;
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|source| Error::Certificate { source })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Arc::clone(tickets);
    config.session_storage = ServerSessionMemoryCache::new(KEPT_SESSIONS);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_reload_takes_the_new_certificate_and_a_bad_one_changes_nothing() {
        let (cert, key) = pair("a.test");
        let tls = Tls::load(cert.as_bytes(), key.as_bytes()).unwrap();
        let before = tls.current();
        assert!(tls.reload(b"", key.as_bytes()).is_err());
        assert!(Arc::ptr_eq(&before, &tls.current()));
        let (cert, key) = pair("b.test");
        tls.clone().reload(cert.as_bytes(), key.as_bytes()).unwrap();
        assert!(!Arc::ptr_eq(&before, &tls.current()));
    }

    #[test]
    fn empty_foreign_and_mismatched_files_are_told_apart() {
        let ((cert, key), (_, other)) = (pair("a.test"), pair("b.test"));
        let load = |cert: &str, key: &str| Tls::load(cert.as_bytes(), key.as_bytes());
        let what = |result: Result<Tls, Error>| match result.unwrap_err() {
            Error::Pem { what, .. } => what,
            Error::Certificate { .. } => "pair",
            _ => "other",
        };
        assert_eq!(what(load("", &key)), "certificate chain");
        assert_eq!(what(load(&cert, "nothing")), "private key");
        assert_eq!(what(load(&cert, &other)), "pair");
    }

    #[test]
    fn a_chain_is_read_up_to_its_bound() {
        let (cert, key) = pair("a.test");
        let tls = Tls::load(cert.repeat(MAX_CHAIN + 1).as_bytes(), key.as_bytes()).unwrap();
        assert!(!tls.current().alpn_protocols.is_empty());
    }
}
