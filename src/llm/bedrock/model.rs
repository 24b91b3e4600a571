//! What a model on Bedrock takes, told from its id. Converse has one shape for all of them, but each
//! family refuses something else. Facts only; what follows from them is decided by their users.
//!
//! Sources: the Bedrock User Guide ("Supported models and model features", "Tool use", "Structured
//! outputs", "Prompt caching"), Anthropic's and Amazon's guides to thinking, and recorded traffic.

/// Who made a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Anthropic, with the model's version (major, minor).
    Claude(u32, u32),
    /// Amazon Nova; the second generation reasons.
    Nova {
        /// Nova 2 or later.
        second: bool,
    },
    /// OpenAI's open models.
    GptOss,
    /// OpenAI's own models.
    Gpt,
    /// Alibaba.
    Qwen,
    /// DeepSeek.
    DeepSeek,
    /// Mistral.
    Mistral,
    /// Meta's Llama.
    Llama,
    /// Writer's Palmyra.
    Writer,
    /// xAI's Grok.
    Grok,
    /// Z.AI's GLM.
    Glm,
    /// Moonshot's Kimi.
    Kimi,
    /// Known to be none of these.
    Other,
    /// The id says nothing: an application inference profile, for example.
    Unknown,
}

/// A model as far as its id tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model<'a> {
    /// Who made it.
    pub family: Family,
    /// Its name without region and maker, such as `claude-opus-4-8`.
    pub name: &'a str,
}

/// What may stand beside a tool result in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Anything.
    Anything,
    /// Anything but documents.
    NoDocuments,
    /// Nothing.
    Nothing,
}

impl<'a> Model<'a> {
    /// Reads a model id, an inference profile's id or an ARN of either.
    pub fn of(id: &'a str) -> Self {
        let id = id.rsplit('/').next().unwrap_or(id);
        // "us.anthropic.claude-...": a maker may stand behind a geography.
        let maker_first = |id: &'a str| {
            let (maker, name) = id.split_once('.')?;
            Some(Self { family: family(maker, name)?, name })
        };
        maker_first(id)
            .or_else(|| maker_first(id.split_once('.')?.1))
            .unwrap_or(Self { family: Family::Unknown, name: id })
    }

    fn claude(self) -> Option<(u32, u32)> {
        match self.family {
            Family::Claude(major, minor) => Some((major, minor)),
            _ => None,
        }
    }

    /// Whether it is Claude.
    pub fn is_claude(self) -> bool {
        self.claude().is_some()
    }

    /// Whether it is Claude of this version or later.
    pub fn claude_since(self, major: u32, minor: u32) -> bool {
        self.claude().is_some_and(|version| version >= (major, minor))
    }

    fn claude_named(self, names: &[&str]) -> bool {
        self.is_claude() && names.iter().any(|name| self.name.contains(name))
    }

    /// Whether sampling parameters are refused.
    pub fn refuses_sampling(self) -> bool {
        self.claude_since(4, 7) || matches!(self.family, Family::Gpt | Family::Grok)
    }

    /// Whether temperature and top_p are refused together.
    pub fn refuses_both_samplings(self) -> bool {
        self.claude_since(4, 5) || self.claude_named(&["opus-4-1"])
    }

    /// Whether thinking is a matter of effort, not of a budget of tokens.
    pub fn thinks_adaptively(self) -> bool {
        self.claude_since(4, 6)
    }

    /// Whether a budget of tokens for thinking is refused.
    pub fn refuses_budget(self) -> bool {
        self.claude_since(4, 7)
    }

    /// Whether it thinks unless told not to.
    pub fn thinks_by_default(self) -> bool {
        self.claude_since(5, 0)
    }

    /// Whether nothing keeps it from thinking.
    pub fn always_thinks(self) -> bool {
        self.thinks_by_default() && self.claude_named(&["fable", "mythos", "opus-5-5"])
    }

    /// Whether a tool may be forced (`any`, `tool`).
    pub fn takes_forced_tool(self) -> bool {
        match self.family {
            Family::Claude(5, 5..) => !self.claude_named(&["opus", "sonnet"]),
            Family::Claude(5, 1..) => !self.claude_named(&["fable", "mythos"]),
            Family::Claude(..)
            | Family::Nova { .. }
            | Family::Glm
            | Family::Kimi
            | Family::Grok
            | Family::Unknown => true,
            Family::Mistral => self.name.starts_with("mistral-large"),
            _ => false,
        }
    }

    /// Whether `outputConfig.textFormat` and strict tools are taken.
    pub fn takes_output_format(self) -> bool {
        let named = |names: &[&str]| names.iter().any(|name| self.name.starts_with(name));
        match self.family {
            Family::Claude(..) => self.claude_since(4, 5) || self.claude_named(&["opus-4-1"]),
            Family::GptOss | Family::Glm | Family::Kimi | Family::Unknown => true,
            Family::Qwen => named(&["qwen3"]),
            Family::DeepSeek => named(&["v3"]),
            Family::Mistral => {
                named(&["magistral-small", "ministral-3", "mistral-large-3", "voxtral"])
            }
            Family::Other => named(&["gemma-3-12b", "gemma-3-27b", "minimax-m2", "nemotron-nano"]),
            _ => false,
        }
    }

    /// Whether cache points are taken in messages and in the system prompt.
    pub fn takes_cache_points(self) -> bool {
        matches!(self.family, Family::Claude(..) | Family::Nova { .. } | Family::Unknown)
    }

    /// Whether cache points are taken among the tools too, and for an hour.
    pub fn takes_all_cache_points(self) -> bool {
        matches!(self.family, Family::Claude(..) | Family::Unknown)
    }

    /// Whether reasoning may be given back to it, with its signature.
    pub fn takes_reasoning_back(self) -> bool {
        matches!(self.family, Family::Claude(..) | Family::Unknown)
    }

    /// Whether a conversation may begin with the assistant.
    pub fn takes_assistant_first(self) -> bool {
        matches!(self.family, Family::Qwen | Family::Glm | Family::Kimi | Family::Unknown)
    }

    /// What it takes beside a tool result.
    pub fn beside_results(self) -> Beside {
        match self.family {
            Family::Claude(..) => Beside::NoDocuments,
            Family::Llama | Family::Mistral | Family::Writer => Beside::Nothing,
            _ => Beside::Anything,
        }
    }

    /// Whether a tool result may say whether it failed.
    pub fn takes_result_status(self) -> bool {
        self.family != Family::Writer
    }
}

fn family(maker: &str, name: &str) -> Option<Family> {
    Some(match maker {
        "anthropic" => {
            let (major, minor) = claude_version(name);
            Family::Claude(major, minor)
        }
        "amazon" if name.starts_with("nova-") => {
            let second = name.starts_with("nova-2") || name.starts_with("nova-3");
            Family::Nova { second }
        }
        "openai" if name.starts_with("gpt-oss") => Family::GptOss,
        "openai" => Family::Gpt,
        "qwen" => Family::Qwen,
        "deepseek" => Family::DeepSeek,
        "mistral" => Family::Mistral,
        "meta" => Family::Llama,
        "writer" => Family::Writer,
        "xai" => Family::Grok,
        "zai" => Family::Glm,
        "moonshot" | "moonshotai" => Family::Kimi,
        "amazon" | "ai21" | "cohere" | "google" | "minimax" | "nvidia" | "stability"
        | "twelvelabs" => Family::Other,
        _ => return None,
    })
}

/// `claude-3-7-sonnet-20250219-v1:0` is 3.7, `claude-opus-5` is 5.0; a name without a version is one of
/// the first models or one newer than this list.
fn claude_version(name: &str) -> (u32, u32) {
    let number = |part: &&str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = name.split('-').collect();
    let Some(at) = parts.iter().position(number) else {
        let first = name.contains("-v2") || name.contains("instant");
        return if first { (2, 0) } else { (5, 0) };
    };
    let read = |at: usize| parts.get(at).filter(|part| number(part))?.parse().ok();
    (read(at).unwrap_or(0), read(at + 1).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_from_ids_profiles_and_arns() {
        for (id, family) in [
            ("anthropic.claude-v2:1", Family::Claude(2, 0)),
            ("anthropic.claude-3-haiku-20240307-v1:0", Family::Claude(3, 0)),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", Family::Claude(3, 7)),
            ("eu.anthropic.claude-sonnet-4-20250514-v1:0", Family::Claude(4, 0)),
            ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", Family::Claude(4, 5)),
            ("us.anthropic.claude-opus-4-8", Family::Claude(4, 8)),
            ("anthropic.claude-fable-5-1", Family::Claude(5, 1)),
            ("anthropic.claude-mythos-preview", Family::Claude(5, 0)),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-6-v1",
                Family::Claude(4, 6),
            ),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
                Family::Nova { second: false },
            ),
            ("us.amazon.nova-2-lite-v1:0", Family::Nova { second: true }),
            ("amazon.titan-text-express-v1", Family::Other),
            ("openai.gpt-oss-120b-1:0", Family::GptOss),
            ("us.meta.llama4-maverick-17b-instruct-v1:0", Family::Llama),
            ("moonshot.kimi-k2-thinking", Family::Kimi),
            (
                "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f",
                Family::Unknown,
            ),
            ("", Family::Unknown),
            ("us.", Family::Unknown),
        ] {
            assert_eq!(Model::of(id).family, family, "{id}");
        }
        assert_eq!(Model::of("us.amazon.nova-2-lite-v1:0").name, "nova-2-lite-v1:0");
    }

    #[test]
    fn generations_of_claude_differ() {
        let model = |name: &'static str| Model::of(name);
        assert!(!model("anthropic.claude-sonnet-4-5-20250929-v1:0").thinks_adaptively());
        assert!(model("anthropic.claude-sonnet-4-6").thinks_adaptively());
        assert!(!model("anthropic.claude-opus-4-6-v1").refuses_sampling());
        assert!(model("anthropic.claude-opus-4-7").refuses_sampling());
        assert!(model("anthropic.claude-opus-4-1-20250805-v1:0").takes_output_format());
        assert!(!model("anthropic.claude-opus-4-20250514-v1:0").takes_output_format());
        assert!(model("anthropic.claude-opus-5").takes_forced_tool());
        assert!(!model("anthropic.claude-opus-5-5").takes_forced_tool());
        assert!(model("anthropic.claude-haiku-5-5").takes_forced_tool());
    }
}
