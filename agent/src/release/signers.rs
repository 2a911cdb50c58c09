//! Choosing the keys that may sign for a role, and saying clearly why others may not.

use groundswell_protocol::identity::{KeyPair, PublicKey};
use groundswell_protocol::trust::policy::{Policy, RoleName};

use super::problem::Problem;

/// Those of `keys` that belong to `role`, as many as its threshold.
///
/// # Errors
/// When there are fewer: says whose keys the policy names, and which role the given ones have.
pub fn choose_signers<'a>(
    policy: &Policy,
    role: RoleName,
    keys: &'a [KeyPair],
    what: &str,
) -> Result<Vec<&'a KeyPair>, Problem> {
    let named = policy.role(role);
    let mut chosen: Vec<&KeyPair> = Vec::new();
    for key in keys.iter().filter(|key| named.keys.contains(&key.public())) {
        if chosen.iter().all(|other| other.public() != key.public()) {
            chosen.push(key);
        }
    }
    let threshold = usize::from(named.threshold);
    if chosen.len() >= threshold {
        chosen.truncate(threshold);
        return Ok(chosen);
    }
    let have = chosen.len();
    let mut why = format!(
        "{threshold} of the {} role's keys must sign, and {} here; policy {} names {}",
        role.as_str(),
        if have == 0 { "none is".to_owned() } else { format!("only {have} is") },
        policy.version,
        short_list(&named.keys),
    );
    for key in keys.iter().filter(|key| !named.keys.contains(&key.public())) {
        why.push_str(&format!("; {} is {}", key.public().short(), roles_of(policy, &key.public())));
    }
    Err(Problem::bad_input(what, why, format!("name the {} role's key files with --key", role.as_str())))
}

/// Refuses a single key that is not of `role`.
///
/// # Errors
/// Says whose keys the policy names, and which role the given one has.
pub fn check_signer(policy: &Policy, role: RoleName, key: &PublicKey, what: &str) -> Result<(), Problem> {
    let named = policy.role(role);
    if named.keys.contains(key) {
        return Ok(());
    }
    Err(Problem::bad_input(
        what,
        format!(
            "the key {} is {}; policy {} names {} for the {} role",
            key.short(),
            roles_of(policy, key),
            policy.version,
            short_list(&named.keys),
            role.as_str(),
        ),
        format!("sign with a key of the {} role", role.as_str()),
    ))
}

fn roles_of(policy: &Policy, key: &PublicKey) -> String {
    let roles: Vec<&str> = RoleName::ALL
        .into_iter()
        .filter(|role| policy.role(*role).keys.contains(key))
        .map(RoleName::as_str)
        .collect();
    match roles.as_slice() {
        [] => "in no role".to_owned(),
        roles => format!("a key of the role {}", roles.join(" and ")),
    }
}

fn short_list(keys: &[PublicKey]) -> String {
    keys.iter().map(PublicKey::short).collect::<Vec<_>>().join(", ")
}
