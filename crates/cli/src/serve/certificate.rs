//! The certificate: read at start, and again on SIGHUP.

use std::fs;

use anyhow::Context as _;

use crate::config::settings::TlsFiles;

/// Certificate and key files, and the TLS settings made from them.
pub(super) struct Files {
    files: TlsFiles,
    tls: wire::Tls,
}

impl Files {
    /// # Errors
    /// A file that cannot be read, or a key that does not fit the certificate.
    pub(super) fn load(files: Option<&TlsFiles>) -> anyhow::Result<Option<Self>> {
        let Some(files) = files else { return Ok(None) };
        let (certificate, key) = read(files)?;
        let tls = wire::Tls::load(&certificate, &key).context("server.tls")?;
        Ok(Some(Self { files: files.clone(), tls }))
    }

    pub(super) fn tls(&self) -> wire::Tls {
        self.tls.clone()
    }

    /// Takes the files as they are now; a bad one is told and the old certificate stays.
    pub(super) fn reload(&self) {
        let read = read(&self.files);
        let reloaded = read.and_then(|(certificate, key)| {
            self.tls.reload(&certificate, &key).context("server.tls")
        });
        match reloaded {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the old certificate stays: {error:#}"
                );
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "cli reads the files that the configuration names")]
fn read(files: &TlsFiles) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let read = |file: &std::path::Path| {
        fs::read(file).with_context(|| format!("reading {}", file.display()))
    };
    Ok((read(&files.cert_file)?, read(&files.key_file)?))
}
