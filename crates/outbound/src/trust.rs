//! Which certificates are trusted.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, NamedGroup, RootCertStore,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
    },
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use crate::{
    Config, Error,
    phase::{Phase, enter},
};

/// Where Linux distributions keep the trusted certificates, most usual first.
///
/// Source: `crypto/x509/root_linux.go`.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// A bundle is about 220 kB; what is larger than this is no bundle.
const MAX_BUNDLE_BYTES: u64 = 16 << 20;
/// Servers whose TLS sessions are kept for resumption.
const TLS_SESSIONS: usize = 256;

/// The TLS side of every connection: TLS 1.2 and 1.3, HTTP/2 preferred.
///
/// # Errors
///
/// `Config` for a file that cannot be read or holds no certificate.
pub(crate) fn tls(config: &Config) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(bundle) = system_bundle(config) {
        let certificates = read(&bundle)?;
        let (_added, ignored) = roots.add_parsable_certificates(certificates);
        if ignored > 0 {
            tracing::debug!(bundle = %bundle.display(), ignored, "certificates left out");
        }
    } else {
        tracing::warn!("no system certificates were found: only outbound.ca_files are trusted");
    }
    for file in &config.ca_files {
        for certificate in read(file)? {
            roots.add(certificate).map_err(|error| Error::Config {
                reason: format!("{}: not a usable certificate: {error}", file.display()),
            })?;
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Config { reason: format!("TLS cannot be set up: {error}") })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls.resumption =
        Resumption::store(Arc::new(Sessions(ClientSessionMemoryCache::new(TLS_SESSIONS))));
    Ok(tls)
}

fn system_bundle(config: &Config) -> Option<PathBuf> {
    let found = || SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists());
    config.system_ca_file.clone().or_else(|| found().map(Path::to_owned))
}

/// All certificates of a PEM file, at least one.
fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let refuse = |why: String| Error::Config { reason: format!("{}: {why}", path.display()) };
    let size = fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
    if size > MAX_BUNDLE_BYTES {
        return Err(refuse(format!("larger than {MAX_BUNDLE_BYTES} bytes")));
    }
    let text = fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refuse(error.to_string()))?;
    if certificates.is_empty() {
        return Err(refuse("holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}

/// rustls asks the session store first when a handshake begins: the one place where the begin of
/// the TLS phase can be seen from outside.
#[derive(Debug)]
struct Sessions(ClientSessionMemoryCache);

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        enter(Phase::Tls);
        self.0.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(server_name)
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.0.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(
        &self,
        server_name: ServerName<'static>,
        value: Tls13ClientSessionValue,
    ) {
        self.0.insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(
        &self,
        server_name: &ServerName<'static>,
    ) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(server_name)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use super::{MAX_BUNDLE_BYTES, tls};
    use crate::{Config, Error};

    fn reason(text: &[u8]) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let config = Config { ca_files: vec![file.path().to_owned()], ..Config::default() };
        match tls(&config) {
            Err(Error::Config { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        assert!(reason(b"").ends_with("holds no certificate in PEM form"));
        assert!(reason(b"hello").ends_with("holds no certificate in PEM form"));
        let rotten = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(reason(rotten).contains("not a usable certificate"));
    }

    #[test]
    fn a_missing_or_huge_file_is_refused() {
        let config = Config { ca_files: vec!["/nonexistent/ca.pem".into()], ..Config::default() };
        assert!(matches!(tls(&config), Err(Error::Config { .. })));
        let file = tempfile::NamedTempFile::new().unwrap();
        File::create(file.path()).unwrap().set_len(MAX_BUNDLE_BYTES + 1).unwrap();
        let config = Config { system_ca_file: Some(file.path().into()), ..Config::default() };
        assert!(tls(&config).unwrap_err().to_string().contains("larger than"));
        File::create(file.path()).unwrap().set_len(MAX_BUNDLE_BYTES).unwrap();
        assert!(!tls(&config).unwrap_err().to_string().contains("larger than"));
    }

    #[test]
    fn both_http_versions_are_offered() {
        assert_eq!(tls(&Config::default()).unwrap().alpn_protocols, [&b"h2"[..], b"http/1.1"]);
    }
}
