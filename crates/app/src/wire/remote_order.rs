//! An order for a repository on a server: the server is asked before the task is taken, and the
//! base is fixed by what it tells.

use midwatch_api::control::Submit;
use midwatch_api::task::{Found, RemoteRef, RepositoryRef, TaskOrder};
use midwatch_core::id::{BranchName, TaskName};
use midwatch_local::folder::StateFolder;
use midwatch_publish::order::ask;
use midwatch_publish::{Credential, Git};

use super::{places, proxy};
use crate::discover::repository::problem;
use crate::problem::Problem;

/// Stands in for the name of a task that has none yet, and for its base.
const NAMELESS: &str = "task";
const NO_BASE: &str = "0000000000000000000000000000000000000000";

/// The order with its base fixed. Nothing is stored; a commit that the server does not tell of
/// is fetched into the mirror. `known` is the order of a task that has this name already: when it
/// asks the same, it is taken as it is, wherever its branch stands by now.
pub(super) fn settled(
    folder: &StateFolder,
    git: &Git,
    submit: &Submit,
    known: Option<TaskOrder>,
) -> Result<TaskOrder, Problem> {
    let mut order = submit.order.clone();
    let RepositoryRef::Remote(remote) = &submit.order.repository else { return Ok(order) };
    if let Some(known) = known.filter(|known| asks_the_same(&order, known)) {
        return Ok(known);
    }
    let name = submit.name.as_deref().unwrap_or(NAMELESS);
    // Everything that needs no server is said before one is asked.
    TaskOrder { base: NO_BASE.into(), ..order.clone() }.to_spec(name)?;
    let asked = match &remote.found {
        // The order of an earlier task: its base is fixed already.
        Some(found) => found.asked.clone(),
        None => order.base.clone(),
    };
    let git = git.clone().with_ca_bundle(order.ca_bundle.clone());
    let mut server = places::server(folder, &order.repository)?
        .ok_or_else(|| Problem::internal("a remote repository without a URL"))?;
    if let Some(login) = &submit.login {
        let (user, password) = (login.user.clone(), login.password.as_str().into());
        server.credential = Some(Credential { user, password });
    }
    if let Some(text) = &submit.proxy {
        server.proxy = proxy::for_git(&proxy::handed_over(text)?, &server.url);
    }
    let told = ask(&git, &server).map_err(problem)?;
    let identity = told.identity();
    let reference = Some(order.base.as_str()).filter(|base| !base.is_empty());
    let (base, branch) = told.base(reference, &folder.mirror(&identity)).map_err(problem)?;
    let base_branch = branch.or_else(|| remote.found.as_ref()?.base_branch.clone());
    let default_branch = told.default_branch().map(str::to_owned);
    let found = Found { identity, asked, base_branch, default_branch };
    order.repository = RepositoryRef::Remote(RemoteRef { found: Some(found), ..remote.clone() });
    base.as_str().clone_into(&mut order.base);
    let spec = order.to_spec(TaskName::parse(name)?.as_str())?;
    let protected = order.repository.protected();
    let protected: Vec<BranchName> =
        protected.iter().filter_map(|name| BranchName::parse(name).ok()).collect();
    told.check_branch(&spec.branch, &base, &protected).map_err(problem)?;
    Ok(order)
}

/// Whether an order that is yet to be settled asks what a settled one asked.
fn asks_the_same(order: &TaskOrder, known: &TaskOrder) -> bool {
    let (RepositoryRef::Remote(asking), RepositoryRef::Remote(settled)) =
        (&order.repository, &known.repository)
    else {
        return false;
    };
    let Some(found) = &settled.found else { return false };
    let as_asked = TaskOrder {
        base: if asking.found.is_some() { known.base.clone() } else { found.asked.clone() },
        repository: RepositoryRef::Remote(RemoteRef {
            found: asking.found.clone(),
            login: asking.login.clone(),
            ..settled.clone()
        }),
        ..known.clone()
    };
    let kept = |order: &TaskOrder| {
        let mut order = order.clone();
        order.agent.credential = known.agent.credential.clone();
        order
    };
    kept(&as_asked) == kept(order)
}
