//! What conditions say, what is wrong with them, and what bounds them.

use std::borrow::Cow;

use super::*;

/// A request whose facts are all different.
#[derive(Default)]
struct Sample {
    tools: usize,
    model: Option<String>,
}

impl Facts for Sample {
    fn fact(&self, fact: Fact) -> FactValue<'_> {
        let text = |text: &'static str| FactValue::Text(text.into());
        let map = |entries: &[(&'static str, &'static str)]| {
            FactValue::Map(entries.iter().map(|(k, v)| (Cow::from(*k), Cow::from(*v))).collect())
        };
        match fact {
            Fact::Model => FactValue::Text(self.model.as_deref().unwrap_or("gpt-5").into()),
            Fact::Endpoint => text("ChatCompletions"),
            Fact::Headers => map(&[("x-tier", "gold"), ("accept", "a, b")]),
            Fact::InputTokens => FactValue::Int(1234),
            Fact::Stream => FactValue::Flag(true),
            Fact::Tools if self.tools > 0 => FactValue::Texts(vec!["tool".into(); self.tools]),
            Fact::Tools => FactValue::Texts(vec!["search".into(), "run_code".into()]),
            Fact::Metadata => FactValue::Members(
                serde_json::json!({"case": "A-1", "n": 7, "deep": {"x": [1, 2]}, "on": true})
                    .as_object()
                    .unwrap()
                    .clone(),
            ),
            Fact::MaxOutputTokens => FactValue::Int(64),
            Fact::Hostname => text("llm.example.com"),
            Fact::ConsumerName => text("crawler"),
            Fact::ConsumerNamespace => text("team-search"),
            Fact::ConsumerLabels => map(&[("tier", "gold")]),
            Fact::App => text("shop"),
            Fact::Team => text("search"),
            Fact::Environment => text("prod"),
            Fact::User => text("ada"),
            // 2026-07-06, a Monday, 10:30 in Berlin.
            Fact::Now => FactValue::Int(1_783_326_600),
        }
    }
}

fn holds(text: &str) -> Result<bool, String> {
    let condition = Condition::compile(text).map_err(|mistake| mistake.to_string())?;
    let sample = Sample::default();
    condition.holds(&Known::new(&sample)).map_err(|error| error.to_string())
}

fn mistake(text: &str) -> Mistake {
    Condition::compile(text).expect_err(text)
}

#[test]
fn every_fact_can_be_asked_for() {
    for text in [
        "request.model == 'gpt-5'",
        "request.endpoint == 'ChatCompletions'",
        "request.headers['x-tier'] == 'gold' && 'accept' in request.headers",
        "request.inputTokens > 1000 && request.inputTokens < 2000",
        "request.stream",
        "'search' in request.tools && size(request.tools) == 2",
        "request.metadata.case == 'A-1' && request.metadata['n'] == 7 && request.metadata.on",
        "request.metadata.deep.x[1] == 2",
        "request.maxOutputTokens == 64",
        "request.hostname.endsWith('.example.com')",
        "consumer.name == 'crawler' && consumer.namespace == 'team-search'",
        "consumer.labels.tier == 'gold' && has(consumer.labels.tier)",
        "consumer.app + '/' + consumer.team == 'shop/search'",
        "consumer.environment != 'dev' && consumer.user == 'ada'",
        "now > timestamp('2026-01-01T00:00:00Z')",
        "now.getHours('Europe/Berlin') == 10 && now.getHours() == 8 && now.getMinutes() == 30",
        "now.getDayOfWeek('Europe/Berlin') in [1, 2, 3, 4, 5]",
        "now - timestamp('2026-07-06T00:00:00Z') < duration('9h')",
        "request.headers[?'x-none'].orValue('silver') == 'silver'",
        "!request.headers[?'x-none'].hasValue()",
        "request.tools.exists(tool, tool.startsWith('run'))",
        "request.tools.filter(tool, tool != 'search').size() == 1",
        "request.tools.map(tool, tool.upperAscii())[0] == 'SEARCH'",
        "request.tools.exists_one(t, t == 'search') && request.headers.exists(h, h == 'accept')",
        "request.model.matches('^gpt-[0-9]$') && matches(request.model, '5')",
        "request.tools.all(t, t.matches('^[a-z_]+$'))",
        "(request.stream ? 1 : 2) == 1",
        "int(request.metadata.n) + 1 == 8",
        "request.headers['x-none'] == 'x' || request.stream",
    ] {
        assert_eq!(holds(text), Ok(true), "{text}");
        assert_eq!(holds(&format!("!({text})")), Ok(false), "{text}");
    }
}

#[test]
fn only_what_is_named_is_asked_for_and_once() {
    struct Once(std::sync::Mutex<Vec<Fact>>);
    impl Facts for Once {
        fn fact(&self, fact: Fact) -> FactValue<'_> {
            self.0.lock().unwrap().push(fact);
            Sample::default().fact(fact).to_owned_for_test()
        }
    }
    let once = Once(std::sync::Mutex::new(Vec::new()));
    let known = Known::new(&once);
    let first = Condition::compile("request.stream && request.tools.exists(t, t in request.tools)");
    assert_eq!(first.unwrap().holds(&known), Ok(true));
    let second = Condition::compile("request.stream || request.inputTokens > 1").unwrap();
    assert_eq!(second.holds(&known), Ok(true));
    assert_eq!(second.facts(), [Fact::Stream, Fact::InputTokens]);
    assert_eq!(*once.0.lock().unwrap(), [Fact::Stream, Fact::Tools]);
}

#[test]
fn a_mistake_has_its_place_and_says_what_there_is() {
    for (text, place, part) in [
        ("request.inputTokns > 5", "1:9", "has no member inputTokns: it has model, endpoint"),
        ("request.stream &&\n  claims.x == 1", "2:3", "no variable claims: there are request"),
        ("request == 1", "1:1", "write request. and one of"),
        ("frob(request.model)", "1:5", "no function frob"),
        ("request.model.frob()", "1:19", "no function frob"),
        ("request.model", "1:1", "is a string, not a bool"),
        ("request.model == 5", "1:15", "a string is never equal to a int"),
        ("request.stream && request.inputTokens", "1:16", "a bool is expected here, not a int"),
        ("request.model < 5", "1:15", "have no order"),
        ("5 in request.tools", "1:3", "never contains a int"),
        ("request.tools['x'] == 'y'", "1:14", "is not looked up by a string"),
        ("request.model.size('x') == 1", "1:19", "size cannot be called on a string like this"),
        ("has(request.model)", "1:4", "request.model is always there"),
        ("now.getHours('Europe/Berlim') == 1", "1:14", "no time zone \"Europe/Berlim\""),
        ("now.getHours('europe/berlin') == 1", "1:14", "no time zone \"europe/berlin\""),
        ("now.getHours('+99:00') == 1", "1:14", "no time zone"),
        ("now.getDayOfWeek('-5') == 1", "1:18", "no time zone"),
        ("now > timestamp('2020-01-01')", "1:17", "is not a time: write it as 2026-01-31T"),
        ("now > timestamp('2020-13-01T00:00:00Z')", "1:17", "is not a time"),
        ("now - now > duration('1 day')", "1:22", "is not a duration: write it as 36h"),
        ("int('abc') == 1", "1:5", "is not a number"),
        ("bool('maybe')", "1:6", "is not true or false"),
        ("request.headers.authorization == 'x'", "1:16", "carries a credential"),
        ("has(request.headers.Authorization)", "1:4", "lower case"),
        ("request.headers['host'] == 'x'", "1:17", "the host is in request.hostname"),
        ("request.model.matches('(')", "1:23", "no regular expression"),
        ("request.model.matches(consumer.team)", "1:31", "a text in quotes"),
        ("request.model ==", "1:17", "is no CEL expression"),
        ("é == 'é' ||", "1:1", "is no CEL expression"),
        ("'é' == 'é' && nobody", "1:15", "no variable nobody"),
        ("request.model - 'x' == 'y'", "1:15", "- cannot join a string and a string"),
        ("request.tools + request.tools == []", "1:15", "+ cannot join a list and a list"),
        ("[1].exists(now, now == 1)", "1:11", "now is taken"),
        ("-request.model == 'x'", "1:1", "has no negative"),
        ("request.headers['X-Tier'] == 'a'", "1:17", "lower case: write \"x-tier\""),
        ("'authorization' in request.headers", "1:1", "carries a credential"),
        ("Foo{a: 1} == 1", "1:4", "messages cannot be made here"),
    ] {
        let found = mistake(text);
        assert!(found.message.contains(part), "{text}: {found}");
        assert_eq!(format!("{}:{}", found.line, found.column), place, "{text}: {found}");
        let (written, caret) = found.excerpt.split_once('\n').unwrap();
        assert_eq!(Some(written), text.lines().nth(found.line - 1));
        assert_eq!(caret.chars().count(), found.column, "{text}");
    }
}

#[test]
fn what_cannot_be_said_of_a_request_is_an_error_that_names_no_value() {
    for (text, part) in [
        ("request.headers['x-none'] == 'x'", "a key is not there"),
        ("request.tools[5] == 'x'", "an index is out of bounds"),
        ("1 / (request.maxOutputTokens - 64) == 1", "a division by zero"),
        ("request.metadata.case < 5", "a value is of the wrong type"),
        ("request.metadata.case", "the value is no bool"),
        ("int(request.model) == 5", "cannot be applied"),
        ("9223372036854775807 + request.inputTokens > 0", "a number is too large"),
    ] {
        let error = holds(text).expect_err(text);
        assert!(error.contains(part) && !error.contains("A-1"), "{text}: {error}");
    }
}

#[test]
fn what_callers_send_too_much_of_is_no_fact() {
    let tools = Condition::compile("'tool' in request.tools").unwrap();
    let model = Condition::compile("request.model.startsWith('x')").unwrap();
    let with = |tools, length| Sample { tools, model: Some("x".repeat(length)) };
    let sample = with(MAX_ENTRIES, MAX_TEXT);
    assert_eq!(tools.holds(&Known::new(&sample)), Ok(true));
    assert_eq!(model.holds(&Known::new(&sample)), Ok(true));
    let sample = with(MAX_ENTRIES + 1, MAX_TEXT + 1);
    let refused = |condition: &Condition| condition.holds(&Known::new(&sample)).unwrap_err();
    assert_eq!(refused(&tools).to_string(), "request.tools has more than 256 entries");
    assert_eq!(refused(&model).to_string(), "request.model is longer than 4096 bytes");
}

#[test]
fn an_expression_that_could_cost_much_is_refused() {
    let nested = "request.tools.exists(a, request.tools.exists(b, a == b))";
    assert!(mistake(nested).message.contains("inside another"));
    let growing = "request.tools.map(t, t + t).size() > 0";
    assert!(mistake(growing).message.contains("not joined inside a loop"));
    let long = format!("request.model == '{}'", "x".repeat(MAX_LENGTH));
    assert!(mistake(&long).message.contains("4096 is the most"));
    for (unit, end) in [
        ("request.stream || ", "true"),
        ("1 + ", "1 == 1"),
        ("!", "true"),
        ("(", "true"),
        ("[", "1"),
        ("1 < ", "2"),
        ("true ? true : ", "true"),
        ("request.metadata.a.a.a.a.a.a.a.a.a.a == 1 && ", "true"),
        ("-", "1 == 1"),
    ] {
        let text = unit.repeat(MAX_LENGTH / unit.len() - 4) + end;
        let found = mistake(&text);
        assert!(!found.message.is_empty(), "{text}");
    }
    let pattern = "request.model.matches('(a{100}){100}{100}')";
    assert!(mistake(pattern).message.contains("too large"));
}

/// On a thread with the stack that threads have here; a release build needs less.
#[test]
fn the_largest_expression_that_is_read_leaves_stack() {
    for (start, unit, end) in [
        ("request.metadata", ".a", " == 1"),
        ("request.metadata", "[1]", " == 1"),
        ("", "!", "request.stream"),
        ("", "-", "1 == 1"),
        ("1", " + 1", " == 1"),
        ("1", " < 1", ""),
        ("true", " || true", ""),
        ("true", " && true", ""),
        ("true", " ? true : true", ""),
        ("request.model", ".trim()", " == ''"),
        ("", "(", "1"),
        ("", "[", "1"),
        ("", "{1:", "1"),
        ("", "size(", "1"),
    ] {
        let operators = unit.chars().filter(|c| "+-*/%!?:<>=&|.[({".contains(*c)).count();
        let text = format!("{start}{}{end}", unit.repeat(500 / operators));
        let found = std::thread::spawn(move || Condition::compile(&text)).join();
        let found = found.expect(unit);
        let is_folded = ["!", "-"].contains(&unit);
        assert_eq!(found.is_ok(), is_folded, "{unit}");
    }
}

#[test]
fn what_is_written_out_and_can_be_read_is_fine() {
    for text in [
        "now.getHours('Europe/Berlin') >= 0 && now.getHours('+05:30') >= 0 && now.getHours('UTC') >= 0",
        "now > timestamp('2020-01-01T00:00:00Z') && now - timestamp('2020-01-01T00:00:00+01:00') > duration('36h')",
        "int('12') == 12 && double('1.5') == 1.5 && bool('true') && request.headers['x-tier'] != 'none'",
    ] {
        assert!(Condition::compile(text).is_ok(), "{text}: {:?}", Condition::compile(text));
    }
}

#[test]
fn signs_inside_of_texts_are_no_operators() {
    let names: Vec<String> = (0..90).map(|n| format!("\"gpt-4.1-mini-2025-{n:02}-01\"")).collect();
    let list = format!("request.model in [{}]", names.join(", "));
    assert!(Condition::compile(&list).is_ok());
    let signs = "-.:(".repeat(300);
    for text in [
        format!("'{signs}' == request.model"),
        format!("'\\'{signs}' == request.model"),
        format!("\"\"\"{signs}'\n\\\"\"\"\" == request.model"),
        format!("r'\\' == request.model || \"{signs}\" == request.model"),
        format!("// '{signs}\nrequest.stream"),
    ] {
        assert!(Condition::compile(&text).is_ok(), "{text}: {:?}", Condition::compile(&text));
    }
    let many = "!".repeat(600) + "true";
    for hidden in [
        format!("// \"\"\"\n{many}"),
        format!("r'\\' == '' || {many}"),
        format!("'{many}"),
        format!("'\n{many}"),
    ] {
        assert!(Condition::compile(&hidden).is_err(), "{hidden}");
    }
    assert!(mistake(&many).message.contains("more than 512 signs of operators"));
}

#[test]
fn an_expression_of_a_usual_size_is_not_refused() {
    let clauses: Vec<String> = (0..20)
        .map(|n| format!("consumer.team == 'team-{n}' && request.model.startsWith('gpt-{n}')"))
        .collect();
    let text = clauses.join(" || ");
    assert_eq!(holds(&text), Ok(false));
}

impl FactValue<'_> {
    fn to_owned_for_test(&self) -> FactValue<'static> {
        match self {
            Self::Flag(flag) => FactValue::Flag(*flag),
            Self::Int(number) => FactValue::Int(*number),
            Self::Texts(texts) => {
                FactValue::Texts(texts.iter().map(|t| Cow::Owned(t.to_string())).collect())
            }
            _ => FactValue::Unusable("is not needed"),
        }
    }
}
