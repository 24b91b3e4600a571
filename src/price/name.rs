//! Forms of a model's name: where a table lacks the name itself, what it may be listed under.

/// Regions and groups of regions that Bedrock's inference profiles carry before a model's name
/// (Amazon Bedrock User Guide, "Supported Regions and models for inference profiles").
const REGIONS: [&str; 12] =
    ["us", "eu", "apac", "global", "us-gov", "jp", "au", "ca", "sa", "mx", "il", "uk"];

/// Names to try in this order when the name itself is not listed; the last is repeated where a step
/// changes nothing. Each step starts from the one before:
///
/// 1. without a path: `models/gemini-x`, `publishers/google/models/gemini-x`,
///    `arn:aws:bedrock:...:inference-profile/us.amazon.x`;
/// 2. without Bedrock's region: `us.amazon.x`;
/// 3. without a date or alias at the end: `-2025-08-07`, `-20250807`, `@20250807`, `@default`,
///    `-latest`.
pub fn forms(model: &str) -> [&str; 3] {
    let bare = without_path(model);
    let global = without_region(bare);
    [bare, global, without_date(global)]
}

fn without_path(model: &str) -> &str {
    let is_path = ["models/", "publishers/", "projects/", "arn:"]
        .iter()
        .any(|start| model.starts_with(start));
    match model.rsplit_once('/') {
        Some((_, last)) if is_path && !last.is_empty() => last,
        _ => model,
    }
}

fn without_region(model: &str) -> &str {
    match model.split_once('.') {
        Some((region, rest)) if REGIONS.contains(&region) && !rest.is_empty() => rest,
        _ => model,
    }
}

fn without_date(model: &str) -> &str {
    if let Some((name, version)) = model.rsplit_once('@')
        && (is_day(version) || ["default", "latest"].contains(&version))
    {
        return name;
    }
    if let Some(name) = model.strip_suffix("-latest") {
        return name;
    }
    let Some(at) = model.len().checked_sub("-2025-08-07".len()) else { return model };
    match model.split_at_checked(at) {
        Some((name, date)) if !name.is_empty() && is_date(date) => name,
        _ => match model.rsplit_once('-') {
            Some((name, day)) if !name.is_empty() && is_day(day) => name,
            _ => model,
        },
    }
}

/// `-2025-08-07`.
fn is_date(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        0 | 5 | 8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    }) && text.starts_with("-20")
}

/// `20250807`.
fn is_day(text: &str) -> bool {
    text.len() == 8 && text.starts_with("20") && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_aliases_regions_and_paths_are_taken_off_and_nothing_else() {
        for (model, form) in [
            ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
            ("claude-opus-4-20250514", "claude-opus-4"),
            ("claude-opus-4@20250514", "claude-opus-4"),
            ("claude-opus-5@default", "claude-opus-5"),
            ("mistral-large-latest", "mistral-large"),
            ("us.anthropic.claude-x-v1:0", "anthropic.claude-x-v1:0"),
            ("us-gov.anthropic.claude-x-20250514", "anthropic.claude-x"),
            ("models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("publishers/anthropic/models/claude-opus-4@20250514", "claude-opus-4"),
            (
                "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-pro-v1:0",
                "amazon.nova-pro-v1:0",
            ),
        ] {
            assert_eq!(forms(model)[2], form, "{model}");
        }
        for same in [
            "gpt-4.1",
            "mistral-large-2411",
            "gpt-4-0613",
            "openai/gpt-5",
            "a/b:free",
            "20250807",
            "-2025-08-07",
            "gemini-2.5-flash-lite-preview-09-2025",
            "us.",
            "models/",
            "",
            "é-20250807é",
            "anthropic.claude-opus-4-20250514-v1:0",
            "accounts/fireworks/models/x",
            "llama3@8b",
        ] {
            assert_eq!(forms(same), [same; 3], "{same}");
        }
    }
}
