//! Making policies: the one that founds a fleet, and each that follows.

use std::sync::Arc;

use groundswell_protocol::bounds::ROLE_KEYS_MAX;
use groundswell_protocol::digest::Digest;
use groundswell_protocol::facts::{Fact, Statement};
use groundswell_protocol::identity::{KeyPair, PublicKey};
use groundswell_protocol::time::UnixSeconds;
use groundswell_protocol::trust::names::is_label;
use groundswell_protocol::trust::policy::{Policy, Role, RoleName, Roles};

use super::bundle::Bundle;
use super::problem::Problem;

/// The keys and threshold that each role is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolePlan {
    /// See [`RoleName`].
    pub role: RoleName,
    /// The public keys.
    pub keys: Vec<PublicKey>,
    /// How many must sign.
    pub threshold: u8,
}

/// What a rotation changes.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// Keys to add.
    pub add: Vec<(RoleName, PublicKey)>,
    /// Keys to take away.
    pub remove: Vec<(RoleName, PublicKey)>,
    /// New thresholds.
    pub thresholds: Vec<(RoleName, u8)>,
    /// Raise the epoch, to get past a sequence that a stolen release key drove up.
    pub raise_epoch: bool,
}

fn role(plan: &RolePlan) -> Result<Role, Problem> {
    let name = plan.role.as_str();
    let role = Role::new(plan.keys.clone(), plan.threshold);
    let keys = role.keys.len();
    let why = if keys == 0 {
        format!("the {name} role would have no key")
    } else if keys > ROLE_KEYS_MAX {
        format!("the {name} role would have {keys} keys, and may have {ROLE_KEYS_MAX}")
    } else if role.threshold == 0 || usize::from(role.threshold) > keys {
        format!("{} of the {name} role's {keys} keys would have to sign", role.threshold)
    } else {
        return Ok(role);
    };
    Err(Problem::usage(
        "cannot make the policy",
        why,
        "choose a threshold from 1 to the number of keys, and add keys where they are missing",
    ))
}

fn roles(plans: &[RolePlan]) -> Result<Roles, Problem> {
    let of = |name: RoleName| {
        let plan = plans.iter().find(|plan| plan.role == name).expect("BUG: a role without a plan");
        role(plan)
    };
    Ok(Roles {
        root: of(RoleName::Root)?,
        release: of(RoleName::Release)?,
        operator: of(RoleName::Operator)?,
        enrol: of(RoleName::Enrol)?,
    })
}

/// Founds a fleet: its first policy, signed by `signers`, and the bundle that holds it.
///
/// # Errors
/// When a name, role or threshold is out of bounds, or too few root keys are among the signers.
pub fn found(
    name: &str,
    plans: &[RolePlan],
    expires: UnixSeconds,
    signers: &[&KeyPair],
) -> Result<Bundle, Problem> {
    if !is_label(name) {
        return Err(Problem::usage(
            format!("cannot name the fleet {name:?}"),
            "a name is 1 to 64 bytes without spaces and control characters",
            "choose another name, such as `shop-production`",
        ));
    }
    let policy = Policy {
        version: 1,
        epoch: 0,
        name: name.to_owned(),
        roles: roles(plans)?,
        previous: Digest([0; 32]),
        expires,
    };
    let fleet = policy.founds();
    let fact = Fact::sign(fleet, Statement::Policy(Arc::new(policy)), signers);
    Bundle::found(fact).map_err(|why| {
        Problem::refused(
            "cannot found the fleet",
            why,
            "make at least as many root keys here as root's threshold",
        )
    })
}

/// The roles that `rotation` leads to.
fn rotated(before: &Policy, rotation: &Rotation) -> Result<Vec<RolePlan>, Problem> {
    let refuse = |why: String| {
        Problem::usage(
            "cannot rotate the policy",
            why,
            "see the roles and their keys with `swell fleet show`",
        )
    };
    let mut plans: Vec<RolePlan> = RoleName::ALL
        .into_iter()
        .map(|role| RolePlan {
            role,
            keys: before.role(role).keys.clone(),
            threshold: before.role(role).threshold,
        })
        .collect();
    for plan in &mut plans {
        let name = plan.role.as_str();
        let (added, removed) = (of_role(&rotation.add, plan.role), of_role(&rotation.remove, plan.role));
        for key in removed {
            let place = plan.keys.iter().position(|mine| *mine == key);
            let place = place.ok_or_else(|| refuse(format!("the {name} role has no key {}", key.short())))?;
            plan.keys.remove(place);
        }
        for key in added {
            if plan.keys.contains(&key) {
                return Err(refuse(format!("the {name} role has the key {} already", key.short())));
            }
            plan.keys.push(key);
        }
        if let Some(threshold) = of_role(&rotation.thresholds, plan.role).last() {
            plan.threshold = *threshold;
        }
    }
    Ok(plans)
}

fn of_role<T: Copy>(list: &[(RoleName, T)], role: RoleName) -> Vec<T> {
    list.iter().filter(|(of, _)| *of == role).map(|(_, item)| *item).collect()
}

/// Adds the next policy to `bundle`, signed by those of `signers` that hold root keys before or after it.
///
/// # Errors
/// When a role is out of bounds, or too few root keys of the policies before and after it are among the
/// signers; the bundle is unchanged then.
pub fn rotate(
    bundle: &mut Bundle,
    rotation: &Rotation,
    expires: UnixSeconds,
    signers: &[&KeyPair],
) -> Result<(), Problem> {
    let before = bundle.newest_policy().clone();
    let (Some(version), Some(epoch)) =
        (before.version.checked_add(1), before.epoch.checked_add(u32::from(rotation.raise_epoch)))
    else {
        return Err(Problem::refused(
            "cannot rotate the policy",
            "the policy's version or epoch cannot rise any further",
            "found a new fleet",
        ));
    };
    let policy = Policy {
        version,
        epoch,
        name: before.name.clone(),
        roles: roles(&rotated(&before, rotation)?)?,
        previous: bundle.newest_policy_id(),
        expires,
    };
    let root = |policy: &Policy, key: &KeyPair| policy.role(RoleName::Root).keys.contains(&key.public());
    let signers: Vec<&KeyPair> =
        signers.iter().copied().filter(|key| root(&before, key) || root(&policy, key)).collect();
    let fact = Fact::sign(bundle.fleet(), Statement::Policy(Arc::new(policy)), &signers);
    bundle.add(fact).map_err(|why| {
        Problem::refused(
            "cannot rotate the policy",
            why,
            "name root keys of the policy before and after with --key, as many as their thresholds",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::problem::ProblemKind;
    use crate::release::testing::small_fleet;

    fn plan(role: RoleName, seeds: &[u8], threshold: u8) -> RolePlan {
        let keys = seeds.iter().map(|seed| KeyPair::from_seed(&[*seed; 32]).public()).collect();
        RolePlan { role, keys, threshold }
    }

    fn plans() -> Vec<RolePlan> {
        RoleName::ALL.into_iter().zip(1..).map(|(role, seed)| plan(role, &[seed], 1)).collect()
    }

    #[test]
    fn a_fleet_is_founded_by_its_root_keys_alone() {
        let root = KeyPair::from_seed(&[1; 32]);
        let bundle = found("shop", &plans(), 1, &[&root]).expect("founded");
        assert_eq!(bundle.newest_policy().name, "shop");
        let release = KeyPair::from_seed(&[2; 32]);
        assert_eq!(found("shop", &plans(), 1, &[&release]).expect_err("not root").kind, ProblemKind::Refused);
        assert_eq!(found("two words", &plans(), 1, &[&root]).expect_err("name").kind, ProblemKind::Usage);
        let mut impossible = plans();
        impossible[1].threshold = 2;
        let problem = found("shop", &impossible, 1, &[&root]).expect_err("2 of 1");
        assert!(problem.why.contains("2 of the release role's 1 keys"), "{problem}");
    }

    #[test]
    fn a_rotation_replaces_a_key_and_raises_the_version() {
        let (keys, mut bundle) = small_fleet();
        let new = KeyPair::from_seed(&[77; 32]);
        let rotation = Rotation {
            add: vec![(RoleName::Root, new.public())],
            remove: vec![(RoleName::Root, keys.root.public())],
            raise_epoch: true,
            ..Rotation::default()
        };
        let few = rotate(&mut bundle, &rotation, 5, &[&keys.root]).expect_err("the new key must sign too");
        assert_eq!(few.kind, ProblemKind::Refused);
        assert_eq!(bundle.newest_policy().version, 1, "unchanged");
        rotate(&mut bundle, &rotation, 5, &[&keys.root, &new, &keys.release]).expect("both signed");
        let policy = bundle.newest_policy();
        assert_eq!((policy.version, policy.epoch, policy.expires), (2, 1, 5));
        assert_eq!(policy.role(RoleName::Root).keys, [new.public()]);
    }

    #[test]
    fn a_rotation_that_names_unknown_keys_is_refused() {
        let (keys, mut bundle) = small_fleet();
        let stranger = KeyPair::from_seed(&[77; 32]).public();
        for rotation in [
            Rotation { remove: vec![(RoleName::Release, stranger)], ..Rotation::default() },
            Rotation { add: vec![(RoleName::Release, keys.release.public())], ..Rotation::default() },
            Rotation { thresholds: vec![(RoleName::Release, 2)], ..Rotation::default() },
            Rotation { remove: vec![(RoleName::Release, keys.release.public())], ..Rotation::default() },
        ] {
            let problem = rotate(&mut bundle, &rotation, 5, &[&keys.root]).expect_err("refused");
            assert_eq!(problem.kind, ProblemKind::Usage, "{problem}");
        }
    }
}
