//! Trust.

use std::{io::Write, path::PathBuf, sync::Arc};

use outbound::{Client, Config, Error, FailureClass};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use crate::{
    client, config,
    fake::{Fake, Script, reply},
    fetch, get,
};

/// A server with a certificate of its own making, and that certificate in a file.
async fn server<F>(answer: F) -> (Fake, NamedTempFile)
where
    F: Fn(&str, usize) -> Script + Send + Sync + 'static,
{
    let (acceptor, file) = acceptor(&[]);
    (Fake::with_tls(Some(acceptor), answer).await, file)
}

/// A certificate for this machine, and the file to trust it by.
pub(crate) fn acceptor(alpn: &[&[u8]]) -> (TlsAcceptor, NamedTempFile) {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(signed.cert.pem().as_bytes()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

fn https(fake: &Fake) -> url::Url {
    format!("https://{}/", fake.address).parse().unwrap()
}

#[tokio::test]
async fn an_unknown_certificate_is_told_with_advice_and_not_retried() {
    let (fake, _file) = server(|_, _| reply(200, "", "secret")).await;
    let client = client();
    let error = fetch(&client, get(https(&fake))).await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("a device on your network may intercept TLS"), "{error}");
    let name = "mirror".into();
    assert_eq!(client.metrics().calls(&name), 1);
    assert_eq!(client.metrics().failures(&name, FailureClass::Tls), 1);
}

#[tokio::test]
async fn a_ca_file_is_trusted_beside_the_systems_or_for_one_client() {
    let (fake, file) = server(|_, _| reply(200, "", "hello")).await;
    let ca_files = vec![file.path().to_owned()];
    let configured = Config { ca_files: ca_files.clone(), ..config() };
    let of_config = Client::new(&configured, &outbound::ProxyEnvironment::default()).unwrap();
    let of_upstream = client().with_ca_files(&ca_files).unwrap();
    for client in [of_config, of_upstream] {
        assert_eq!(fetch(&client, get(https(&fake))).await.unwrap(), "hello");
    }
    assert!(client().with_ca_files(&[PathBuf::from("/nonexistent")]).is_err());
}

#[tokio::test]
async fn https_never_becomes_http() {
    let plain = Fake::start(|_, _| reply(200, "", "read by all")).await;
    let location = format!("location: {}\r\n", plain.url("/"));
    let (fake, file) = server(move |_, _| reply(302, &location, "")).await;
    let client = client().with_ca_files(&[file.path().to_owned()]).unwrap();
    let error = fetch(&client, get(https(&fake))).await.unwrap_err();
    assert!(matches!(&error, Error::Redirect { .. }), "{error:?}");
    assert!(error.to_string().contains("plain http"), "{error}");
    assert_eq!(plain.count(), 0);
}

#[tokio::test]
async fn an_unverified_client_talks_to_whoever_answers() {
    let (fake, _file) = server(|_, _| reply(200, "", "hello")).await;
    let client = client().unverified().unwrap();
    assert_eq!(fetch(&client, get(https(&fake))).await.unwrap(), "hello");
}
