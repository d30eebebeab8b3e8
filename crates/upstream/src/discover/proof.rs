//! Who larder is at the host of a page.

use gomod::{ModulePath, govcs::Visibility};
use vcs::{Credential, Protocols, RemoteUrl, authorization};

use super::{Access, Discovery, target::Security};
use crate::{Error, Trouble};

impl Discovery {
    /// What the host of a page is shown that hides it from strangers; none where there is nothing.
    ///
    /// For private paths only: anybody may ask for a public one, and would learn with our right
    /// what the host tells only us. Never without a checked certificate.
    pub(super) async fn proof(
        &self,
        path: &ModulePath,
        import: &str,
        access: Access,
    ) -> Result<Option<outbound::Credential>, Error> {
        if access.visibility == Visibility::Public || access.security == Security::Insecure {
            return Ok(None);
        }
        let Ok(url) = RemoteUrl::parse(&format!("https://{import}"), Protocols::default()) else {
            return Ok(None);
        };
        let credential = self.settings.credentials.find(path, &url, access.visibility);
        let Some(credential) = credential.filter(|known| !matches!(known, Credential::Ssh { .. }))
        else {
            return Ok(None);
        };
        let shown = authorization(&url, Some(credential)).await;
        let header = shown.map_err(|error| Error::Unavailable {
            origin: self.origin.clone(),
            kind: Trouble::Own,
            reason: format!("go-import page of {import}: {error}"),
            retry_after: None,
        })?;
        Ok(header.map(outbound::Credential::Header))
    }
}
