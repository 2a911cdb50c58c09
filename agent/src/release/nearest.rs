//! The name that somebody probably meant.

/// Edits beyond which two names have nothing to do with each other.
const EDITS_MAX: usize = 3;

/// The one of `names` that is fewest edits away from `written`, if it is near at all.
pub fn nearest<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let most = EDITS_MAX.min(written.chars().count().div_ceil(2));
    names
        .iter()
        .map(|name| (edits(written, name), *name))
        .min()
        .filter(|(distance, _)| *distance <= most)
        .map(|(_, name)| name)
}

/// Insertions, deletions and replacements that lead from one text to another (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (from, to, expected) in [("", "abc", 3), ("kitten", "sitting", 3), ("bake_s", "bake_s", 0)] {
            assert_eq!(edits(from, to), expected);
            assert_eq!(edits(to, from), expected);
        }
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["ladder", "bake_s", "trial_s"];
        assert_eq!(nearest("bakes", &names), Some("bake_s"));
        assert_eq!(nearest("lader", &names), Some("ladder"));
        assert_eq!(nearest("colour", &names), None);
        assert_eq!(nearest("", &names), None);
    }
}
