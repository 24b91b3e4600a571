//! The list of models (`GET /v1/models`) in every dialect. Which models a caller may see is decided
//! elsewhere.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Dialect;

/// One model of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelEntry<'a> {
    /// What clients put in `model`.
    pub id: &'a str,
    /// When it came to be, in seconds of Unix time.
    pub created: i64,
    /// Who offers it.
    pub owned_by: &'a str,
}

/// Writes the list as one page.
pub fn encode_models<'a>(dialect: Dialect, models: impl Iterator<Item = ModelEntry<'a>>) -> Bytes {
    let list = match dialect {
        Dialect::OpenAi
        | Dialect::Responses
        | Dialect::Bedrock
        | Dialect::Mistral
        | Dialect::Cohere
        | Dialect::Ollama => {
            let data: Vec<Value> = models.map(openai_model).collect();
            json!({"object": "list", "data": data})
        }
        Dialect::Anthropic => {
            let data: Vec<Value> = models.map(anthropic_model).collect();
            let id_of = |model: Option<&Value>| model.and_then(|model| model.get("id")).cloned();
            let (first_id, last_id) = (id_of(data.first()), id_of(data.last()));
            json!({"data": data, "has_more": false, "first_id": first_id, "last_id": last_id})
        }
        Dialect::Gemini => {
            let models: Vec<Value> = models.map(gemini_model).collect();
            json!({"models": models})
        }
    };
    Bytes::from(list.to_string())
}

/// Writes one model by itself.
pub fn encode_model(dialect: Dialect, model: ModelEntry<'_>) -> Bytes {
    let model = match dialect {
        Dialect::Anthropic => anthropic_model(model),
        Dialect::Gemini => gemini_model(model),
        // Only the first of these is what callers of such a list speak.
        Dialect::OpenAi
        | Dialect::Responses
        | Dialect::Bedrock
        | Dialect::Mistral
        | Dialect::Cohere
        | Dialect::Ollama => openai_model(model),
    };
    Bytes::from(model.to_string())
}

fn openai_model(model: ModelEntry<'_>) -> Value {
    json!({
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.owned_by,
    })
}

fn gemini_model(model: ModelEntry<'_>) -> Value {
    json!({
        "name": format!("models/{}", model.id),
        "displayName": model.id,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
    })
}

fn anthropic_model(model: ModelEntry<'_>) -> Value {
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": rfc3339(model.created),
    })
}

/// Seconds of Unix time as RFC 3339 in UTC, by the civil-from-days algorithm
/// (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn rfc3339(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest % 3_600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: ModelEntry<'static> =
        ModelEntry { id: "chat", created: 1_709_210_096, owned_by: "team" };

    #[test]
    fn each_dialect_gets_its_own_list() {
        let openai: Value =
            serde_json::from_slice(&encode_models(Dialect::OpenAi, [MODEL].into_iter())).unwrap();
        assert_eq!(openai["data"][0]["object"], "model");
        let anthropic: Value =
            serde_json::from_slice(&encode_models(Dialect::Anthropic, [MODEL].into_iter()))
                .unwrap();
        assert_eq!(anthropic["data"][0]["created_at"], "2024-02-29T12:34:56Z");
        assert_eq!(
            (&anthropic["last_id"], &anthropic["has_more"]),
            (&json!("chat"), &json!(false))
        );
    }

    #[test]
    fn an_empty_list_is_a_list() {
        let anthropic: Value =
            serde_json::from_slice(&encode_models(Dialect::Anthropic, std::iter::empty())).unwrap();
        assert_eq!(anthropic["first_id"], Value::Null);
    }

    #[test]
    fn epoch_and_dates_before_it_are_right() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
    }
}
