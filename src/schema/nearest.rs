//! The name that somebody probably meant.

/// The candidate nearest to `name`, if one is near enough to be a slip of the pen: at most a third
/// of its letters differ, or only their case.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = name.to_ascii_lowercase();
    candidates
        .map(|candidate| (distance(&wanted, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's edit distance, in letters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let fields = ["endpoint", "models", "allowedNamespaces", "auth"];
        let of = |name| nearest(name, fields.into_iter());
        assert_eq!(of("endpiont"), Some("endpoint"));
        assert_eq!(of("allowednamespaces"), Some("allowedNamespaces"));
        assert_eq!(of("model"), Some("models"));
        assert_eq!(of("budget"), None);
        assert_eq!(of(""), None);
    }
}
