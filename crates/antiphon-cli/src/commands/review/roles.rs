//! `--role`.

use antiphon::{
    core::patterns::{ReviewPanel, Role},
    nearest,
};
use anyhow::{Result, bail};

/// The panel with the roles that were given in place of its own, some of which may be among them by name.
pub(super) fn of(panel: &ReviewPanel, given: &[String]) -> Result<ReviewPanel> {
    let roles = given.iter().map(|role| match role.split_once('=') {
        Some((name, text)) => named(name.trim(), text.trim()),
        None => built_in(role.trim(), panel.roles()),
    });
    let roles: Vec<Role> = roles.collect::<Result<_>>()?;
    Ok(panel.clone().with_roles(roles))
}

fn named(name: &str, text: &str) -> Result<Role> {
    if name.is_empty() {
        bail!("--role ={text}: the role has no name; write NAME=TEXT");
    }
    if text.is_empty() {
        bail!("--role {name}=: say what to look at; write '{name}=Look at …'");
    }
    Ok(Role::new(name, text))
}

fn built_in(name: &str, known: &[Role]) -> Result<Role> {
    if let Some(role) = known
        .iter()
        .find(|role| role.name.eq_ignore_ascii_case(name))
    {
        return Ok(role.clone());
    }
    let names = || known.iter().map(|role| role.name.as_str());
    match nearest(name, names()) {
        Some(near) => {
            bail!("--role {name}: did you mean {near:?}? for a role of your own write NAME=TEXT")
        }
        None => bail!(
            "--role {name}: only {} are known by name; say what to look at: '{name}=Look at …'",
            names().collect::<Vec<_>>().join(", ")
        ),
    }
}
