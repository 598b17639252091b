//! The operator's own HTTP proxy, as git is told of it.

use std::path::Path;

use crate::command::Call;
use crate::credential::{Credential, Helper};
use crate::error::GitError;
use crate::remote::RemoteError;
use crate::url::Pinned;

/// An HTTP proxy between this machine and a remote.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// `host:port`; an IPv6 address in brackets.
    pub address: String,
    /// What it asks for; shown to it only, and kept nowhere.
    pub login: Option<Credential>,
    /// Whether a name that this machine cannot resolve is handed to it unchecked.
    pub resolves: bool,
}

/// Stands for the user's name in the proxy's address: git asks for a password only where there
/// is a name, and takes the name too from who answers.
const SOMEBODY: &str = "user";

impl Proxy {
    /// The call, told to go through it. The login is neither in the environment nor in argv.
    pub(super) fn told(
        &self,
        call: Call,
        scratch: &Path,
    ) -> Result<(Call, Option<Helper>), GitError> {
        let Some(login) = &self.login else {
            return Ok((call.config("http.proxy", &format!("http://{}", self.address)), None));
        };
        let helper = Helper::new(scratch, login)?;
        let call = call
            .config("http.proxy", &format!("http://{SOMEBODY}@{}", self.address))
            // What everything else of ours speaks with it.
            .config("http.proxyAuthMethod", "basic")
            .config(&format!("credential.http://{}.helper", self.address), &helper.setting());
        Ok((call, Some(helper)))
    }

    /// What comes of looking a host up here, where the proxy resolves its name once more: it is
    /// trusted not to lead a public name inward. One that only it can resolve is handed to it
    /// where that is allowed.
    pub(super) fn settled(
        &self,
        found: Result<Option<Pinned>, RemoteError>,
    ) -> Result<Option<Pinned>, RemoteError> {
        match found {
            Err(RemoteError::Unreachable(_)) if self.resolves => Ok(None),
            Err(RemoteError::Unreachable(why)) => Err(RemoteError::Unreachable(format!(
                "{why}; its address cannot be checked, and where only the operator's proxy can \
                 resolve names, MIDWATCH_PROXY_RESOLVES=1 hands them to it unchecked"
            ))),
            found => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use midwatch_core::input::InvalidInput;

    use super::*;
    use crate::command::Git;

    fn proxy(resolves: bool) -> Proxy {
        let login = Credential { user: "us%er".into(), password: "canary-word".into() };
        Proxy { address: "proxy.example:3128".into(), login: Some(login), resolves }
    }

    #[test]
    fn git_is_told_where_it_is_and_not_its_login() {
        let scratch = tempfile::tempdir().unwrap();
        let list = Git::find().unwrap().call("config").arg("--list");
        let (call, helper) = proxy(false).told(list, scratch.path()).unwrap();
        let told = call.text().unwrap();
        assert!(told.contains("\nhttp.proxy=http://user@proxy.example:3128\n"), "{told}");
        assert!(told.contains("\ncredential.http://proxy.example:3128.helper=!f()"), "{told}");
        assert!(helper.is_some() && !told.contains("canary") && !told.contains("us%er"));
        let without = Proxy { login: None, ..proxy(false) };
        let list = Git::find().unwrap().call("config").arg("--list");
        let (call, helper) = without.told(list, scratch.path()).unwrap();
        let told = call.text().unwrap();
        assert!(helper.is_none() && told.contains("\nhttp.proxy=http://proxy.example:3128"));
    }

    #[test]
    fn a_name_that_is_not_known_here_goes_to_it_only_where_that_was_said() {
        let unknown = || Err(RemoteError::Unreachable("git.example was not found".into()));
        assert!(matches!(proxy(true).settled(unknown()), Ok(None)));
        let error = proxy(false).settled(unknown()).unwrap_err().to_string();
        assert!(error.contains("git.example") && error.contains("MIDWATCH_PROXY_RESOLVES=1"));
        // One that is known, at an address that is refused, stays refused.
        let refused = || Err(InvalidInput::new("repo", "git.example", "is private", "x").into());
        assert!(matches!(proxy(true).settled(refused()), Err(RemoteError::Input(_))));
    }
}
