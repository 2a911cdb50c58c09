//! Arguments about roles, such as `release=2`.

use groundswell_protocol::identity::PublicKey;
use groundswell_protocol::trust::policy::RoleName;

use crate::release::nearest::nearest;

/// A role by its name.
pub(super) fn parse_role(text: &str) -> Result<RoleName, String> {
    let names = RoleName::ALL.map(RoleName::as_str);
    RoleName::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
        let hint = nearest(text, &names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("the roles are {}{hint}", names.join(", "))
    })
}

fn split(text: &str) -> Result<(RoleName, &str), String> {
    let (role, rest) = text.split_once('=').ok_or("expected ROLE=VALUE, such as release=2")?;
    Ok((parse_role(role)?, rest))
}

/// `ROLE=N`.
pub(super) fn parse_role_number(text: &str) -> Result<(RoleName, u8), String> {
    let (role, number) = split(text)?;
    match number.parse() {
        Ok(number) if (1..=16).contains(&number) => Ok((role, number)),
        _ => Err(format!("{number:?} is not a number from 1 to 16")),
    }
}

/// `ROLE=KEY`.
pub(super) fn parse_role_key(text: &str) -> Result<(RoleName, PublicKey), String> {
    let (role, key) = split(text)?;
    Ok((role, key.parse().map_err(|_| "a public key is 64 hexadecimal digits".to_owned())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_numbers_are_parsed_with_hints() {
        assert_eq!(parse_role_number("release=2"), Ok((RoleName::Release, 2)));
        assert!(parse_role_number("relase=2").expect_err("a typing error").contains("`release`"));
        for text in ["release", "release=", "release=0", "release=17", "release=x", "=1"] {
            assert!(parse_role_number(text).is_err(), "{text}");
        }
        assert!(parse_role_key("root=12").is_err());
    }
}
