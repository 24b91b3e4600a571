//! What a model of Google's can do, as far as its name tells: how it is told to think, and whether it
//! insists on its signatures. Source: Gemini API, "Thinking" and "Thought signatures".

use super::wire::WireThinking;
use crate::llm::chat::{Effort, Reasoning};
use crate::llm::codec::Dropped;

/// A Gemini model by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// `(2, 5)` for `gemini-2.5-flash`; names without a number mean the newest.
    version: (u32, u32),
    pro: bool,
    lite: bool,
}

/// What `gemini-flash-latest` and its like stand for.
const NEWEST: (u32, u32) = (3, u32::MAX);

impl Model {
    /// The model of a name, with or without a path before it; `None`: none of the Gemini family.
    pub fn of(name: &str) -> Option<Self> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let rest = name.strip_prefix("gemini-")?;
        let version = rest.split('-').next().and_then(version).unwrap_or(NEWEST);
        let says = |word: &str| rest.split('-').any(|piece| piece == word);
        Some(Self { version, pro: says("pro"), lite: says("lite") })
    }

    /// Refuses history in which a step's first call has lost its signature.
    pub fn insists_on_signatures(self) -> bool {
        self.version.0 >= 3
    }

    /// Takes images in the result of a function.
    pub fn takes_media_in_results(self) -> bool {
        self.version.0 >= 3
    }

    /// Takes a JSON answer together with functions.
    pub fn takes_json_with_tools(self) -> bool {
        self.version.0 >= 3
    }

    fn thinks(self) -> bool {
        self.version >= (2, 5)
    }

    /// Tokens for 2.5: the bounds of the model, 0 for none where it can be switched off.
    fn budget(self, reasoning: Reasoning) -> Option<i64> {
        let asked = reasoning.budget.or(reasoning.effort.map(Effort::budget))?;
        let (least, most) = match (self.pro, self.lite) {
            (true, _) => (128, 32_768),
            (false, true) => (512, 24_576),
            (false, false) => (1, 24_576),
        };
        let tokens = if asked == 0 && !self.pro { 0 } else { asked.clamp(least, most) };
        i64::try_from(tokens).ok()
    }

    /// Cannot be kept from thinking.
    fn always_thinks(self) -> bool {
        self.version.0 >= 3 || (self.pro && self.version >= (2, 5))
    }

    /// The level for 3 and later, which cannot be switched off.
    fn level(self, reasoning: Reasoning) -> Option<&'static str> {
        let asked = reasoning.effort.or(reasoning.budget.map(Effort::of_budget))?;
        Some(match asked {
            Effort::None | Effort::Minimal if self.pro => "LOW",
            Effort::None | Effort::Minimal => "MINIMAL",
            Effort::Low => "LOW",
            // The first of the line knows two levels.
            Effort::Medium if self.pro && self.version == (3, 0) => "HIGH",
            Effort::Medium => "MEDIUM",
            Effort::High | Effort::ExtraHigh => "HIGH",
        })
    }
}

/// `2.5`, or `3`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// How a model is told to think; never a budget and a level at once, which is refused.
pub fn thinking(model: &str, asked: Reasoning, dropped: &mut Dropped) -> Option<WireThinking> {
    let Some(model) = Model::of(model).filter(|model| model.thinks()) else {
        let nothing = asked.effort.is_none_or(|effort| effort == Effort::None);
        if !nothing || asked.budget.is_some_and(|budget| budget > 0) {
            dropped.add("reasoning_effort");
        }
        return None;
    };
    // What is nearest to none is not none.
    let off = asked.effort == Some(Effort::None) || asked.budget == Some(0);
    if off && model.always_thinks() {
        dropped.add("reasoning_effort");
    }
    let by_level = model.version.0 >= 3;
    let config = WireThinking {
        include_thoughts: asked.shown,
        thinking_budget: if by_level { None } else { model.budget(asked) },
        thinking_level: if by_level { model.level(asked).map(str::to_owned) } else { None },
    };
    (config != WireThinking::default()).then_some(config)
}

/// What a caller's `thinkingConfig` asks for; `None`: nothing but the default.
pub fn reasoning(wire: &WireThinking) -> Option<Reasoning> {
    let level = wire.thinking_level.as_deref().map(str::to_lowercase);
    let mut reasoning = Reasoning {
        effort: level.as_deref().and_then(Effort::parse),
        budget: None,
        shown: wire.include_thoughts,
    };
    match wire.thinking_budget {
        Some(0) => reasoning.effort = Some(Effort::None),
        // -1: as the model likes.
        Some(tokens) => reasoning.budget = u64::try_from(tokens).ok(),
        None => {}
    }
    (reasoning != Reasoning::default()).then_some(reasoning)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(model: &str, reasoning: Reasoning) -> (Option<i64>, Option<String>) {
        let config = thinking(model, reasoning, &mut Dropped::default()).unwrap_or_default();
        (config.thinking_budget, config.thinking_level)
    }

    fn effort(effort: Effort) -> Reasoning {
        Reasoning { effort: Some(effort), ..Reasoning::default() }
    }

    #[test]
    fn version_2_5_is_told_tokens_within_its_bounds() {
        let tokens = |model: &str, asked| told(model, asked).0;
        assert_eq!(tokens("gemini-2.5-flash", effort(Effort::None)), Some(0));
        assert_eq!(tokens("gemini-2.5-pro", effort(Effort::None)), Some(128));
        assert_eq!(tokens("gemini-2.5-flash", effort(Effort::ExtraHigh)), Some(24_576));
        let budget = Reasoning { budget: Some(100), ..effort(Effort::High) };
        assert_eq!(
            told("publishers/google/models/gemini-2.5-flash-lite", budget),
            (Some(512), None)
        );
    }

    #[test]
    fn version_3_is_told_a_level_that_it_has() {
        let level = |model: &str, asked| told(model, asked).1.unwrap();
        assert_eq!(level("gemini-3-pro-preview", effort(Effort::None)), "LOW");
        assert_eq!(level("gemini-3-pro-preview", effort(Effort::Medium)), "HIGH");
        assert_eq!(level("gemini-3.1-pro-preview", effort(Effort::Medium)), "MEDIUM");
        assert_eq!(level("gemini-3-flash", effort(Effort::None)), "MINIMAL");
        assert_eq!(level("gemini-flash-latest", effort(Effort::ExtraHigh)), "HIGH");
        let budget = Reasoning { budget: Some(3000), ..Reasoning::default() };
        assert_eq!(told("gemini-3-flash", budget), (None, Some("LOW".to_owned())));
    }

    #[test]
    fn a_model_that_cannot_think_is_not_told_to_and_the_wish_is_named() {
        for model in ["gemini-2.0-flash", "gemma-3-27b-it"] {
            let mut dropped = Dropped::default();
            assert!(thinking(model, effort(Effort::High), &mut dropped).is_none());
            assert_eq!(dropped.into_names(), ["reasoning_effort"]);
            let mut dropped = Dropped::default();
            assert!(thinking(model, effort(Effort::None), &mut dropped).is_none());
            assert_eq!(dropped, Dropped::default());
        }
    }

    #[test]
    fn thoughts_are_shown_where_asked_without_a_bound() {
        let shown = Reasoning { shown: Some(true), ..Reasoning::default() };
        let config = thinking("gemini-2.5-flash", shown, &mut Dropped::default()).unwrap();
        assert_eq!((config.include_thoughts, config.thinking_budget), (Some(true), None));
    }

    #[test]
    fn a_callers_config_is_read() {
        let read = |json: &str| reasoning(&serde_json::from_str(json).unwrap());
        assert_eq!(read(r#"{"thinkingBudget": -1}"#), None);
        assert_eq!(read(r#"{"thinking_budget": 0}"#), Some(effort(Effort::None)));
        assert_eq!(read(r#"{"thinkingLevel": "high"}"#), Some(effort(Effort::High)));
        let both = read(r#"{"thinkingBudget": 64, "includeThoughts": true}"#).unwrap();
        assert_eq!((both.budget, both.shown), (Some(64), Some(true)));
    }
}
