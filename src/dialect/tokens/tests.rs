//! How near the count comes: texts of which o200k_base's own count is known, and what providers said of what they answered.

use serde_json::json;

use super::*;
use crate::dialect::seen::Seen;
use crate::dialect::testing::recorded;
use crate::dialect::{anthropic, gemini, openai_chat, openai_responses};

/// What it is, its tokens in o200k_base, by how many hundredths the count may be off, and the text.
const TEXTS: &[(&str, u64, u64, &str)] = &[
    (
        "english prose",
        97,
        10,
        r##"The harbour was quiet when we arrived, apart from two gulls quarrelling over a crust of bread. Our guide, a retired teacher with an enormous umbrella, told us that the ferry had been cancelled because of the wind. We spent the afternoon in a café beside the lighthouse instead, drinking far too much coffee and reading old newspapers. By evening the weather had cleared, and from the pier you could see the islands, one behind the other, like the backs of sleeping animals."##,
    ),
    (
        "a list with headings",
        84,
        10,
        r##"## Checklist before a release

1. **Run every test.** A red one is a reason to stop.
2. **Read the changelog** as somebody who has never seen the project.
3. **Tag the commit:** `git tag -s v1.4.0 && git push --tags`

- Tell support what changes for customers.
- Keep the previous build within reach for 14 days.
"##,
    ),
    (
        "python",
        103,
        10,
        r##"def moving_average(values, window=5):
    """Yields the mean of the last `window` values."""
    if window < 1:
        raise ValueError(f"window must be positive, got {window}")
    total, seen = 0.0, collections.deque(maxlen=window)
    for value in values:
        if len(seen) == window:
            total -= seen[0]
        seen.append(value)
        total += value
        yield total / len(seen)
"##,
    ),
    (
        "rust",
        150,
        10,
        r##"impl<K: Hash + Eq, V> Cache<K, V> {
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &V {
        let now = self.clock.now();
        match self.entries.entry(key) {
            Entry::Occupied(mut found) if found.get().expires <= now => {
                found.insert(Slot { value: make(), expires: now + self.ttl });
                &found.into_mut().value
            }
            Entry::Occupied(found) => &found.into_mut().value,
            Entry::Vacant(place) => &place.insert(Slot { value: make(), expires: now + self.ttl }).value,
        }
    }
}
"##,
    ),
    (
        "json",
        117,
        10,
        r##"{"order":{"id":"A-20931","placed_at":"2026-03-14T09:26:53Z","currency":"EUR","lines":[{"sku":"TEA-0042","quantity":3,"unit_price":4.75,"gift":false},{"sku":"MUG-1177","quantity":1,"unit_price":12.9,"gift":true}],"shipping":{"method":"express","address":{"street":"Lindenweg 8","postal_code":"20095","city":"Hamburg","country":"DE"}},"notes":null}}"##,
    ),
    (
        "german",
        89,
        15,
        r##"Am Bahnhof warteten schon einige Leute auf den verspäteten Zug. Eine ältere Dame erklärte ihrem Enkel, warum die Lokomotive früher mit Kohle geheizt wurde und weshalb der Schaffner eine Pfeife um den Hals trug. Draußen begann es zu regnen, und durch die offene Tür roch man den nassen Asphalt. Nach einer halben Stunde kam endlich die Durchsage, dass die Fahrt weitergehen könne."##,
    ),
    (
        "spanish",
        71,
        10,
        r##"La biblioteca del pueblo abre todas las tardes, excepto los domingos. Los niños suelen sentarse cerca de la ventana, donde la luz es mejor, mientras sus abuelos leen el periódico en silencio. La bibliotecaria conoce a cada lector por su nombre y recuerda qué libros le gustaron el año pasado. Cuando llueve, prepara chocolate caliente para todos."##,
    ),
    (
        "french",
        85,
        10,
        r##"Le marché commence avant le lever du soleil. Les maraîchers déchargent leurs caisses de légumes, le boulanger installe ses pains encore tièdes, et quelqu'un fait déjà griller des châtaignes au coin de la place. Vers neuf heures, les premiers clients arrivent avec leurs paniers. On discute du temps, des prix et de la fête du village qui aura lieu samedi prochain."##,
    ),
    (
        "russian",
        105,
        10,
        r##"Утром над рекой стоял густой туман, и лодки казались серыми пятнами на воде. Рыбаки тихо переговаривались, стараясь не спугнуть рыбу. К полудню солнце поднялось высоко, туман рассеялся, и стало видно дальний берег с белой церковью и старой мельницей. Вечером все собрались у костра, варили уху и рассказывали друг другу длинные истории о прошлом."##,
    ),
    (
        "chinese",
        99,
        10,
        r##"清晨的集市非常热闹。卖菜的老人把刚摘下来的青菜摆得整整齐齐，旁边的小店飘出豆浆和油条的香味。孩子们背着书包从人群中穿过，一边走一边讨论昨天的作业。太阳升起以后，街道渐渐安静下来，只剩下几个下棋的老人还坐在树下，慢慢地喝茶。"##,
    ),
    (
        "japanese",
        98,
        10,
        r##"朝早く起きて、近くの公園を散歩するのが好きです。池のまわりには桜の木が並んでいて、春になると多くの人が写真を撮りに来ます。昨日は雨が降っていたので、道に小さな水たまりができていました。帰りにいつものパン屋に寄って、焼きたてのパンを二つ買いました。"##,
    ),
    (
        "korean",
        87,
        10,
        r##"토요일 아침에 우리는 작은 산에 올랐다. 길은 생각보다 가파르고 바람도 차가웠지만, 정상에서 본 풍경은 정말 아름다웠다. 멀리 바다가 보였고 마을의 지붕들이 햇빛에 반짝였다. 내려오는 길에 할머니가 파는 따뜻한 옥수수를 사서 나누어 먹었다."##,
    ),
    (
        "hindi",
        66,
        10,
        r##"सुबह की ठंडी हवा में हम नदी के किनारे टहलने निकले। पेड़ों पर पक्षी बोल रहे थे और दूर से मंदिर की घंटी सुनाई दे रही थी। एक बूढ़ा आदमी नाव में बैठकर जाल ठीक कर रहा था। उसने हमें बताया कि इस साल पानी बहुत कम है।"##,
    ),
    (
        "arabic",
        69,
        10,
        r##"في الصباح الباكر خرجنا إلى السوق القديم لنشتري الفواكه والخضروات. كان البائعون ينادون على بضائعهم بأصوات عالية، وكانت رائحة القهوة تملأ المكان. جلسنا قليلا في مقهى صغير وتحدثنا عن رحلتنا القادمة إلى الجبال."##,
    ),
    (
        "emoji",
        68,
        10,
        r##"Great job everyone! 🎉🎉 The launch went live this morning 🚀 and the first numbers look amazing 📈🔥. Thanks to the design crew 🎨, the night shift 🌙☕ and of course our testers 🧪✅. Cake in the kitchen at three 🍰😋 — bring your friends! ❤️👍"##,
    ),
];

fn assert_near(what: &str, counted: u64, really: u64, percent: u64) {
    let apart = counted.abs_diff(really) * 100;
    assert!(apart <= really * percent, "{what}: counted {counted}, and it is {really}");
}

fn count(text: &str) -> u64 {
    let mut tokens = Tokens::default();
    tokens.text(text);
    tokens.at(Dialect::OpenAiChat)
}

#[test]
fn prose_code_json_and_other_scripts_are_counted_within_ten_percent() {
    for (what, really, percent, text) in TEXTS {
        assert_near(what, count(text), *really, *percent);
    }
}

#[test]
fn a_text_in_pieces_is_the_text_escaped_or_not() {
    for (what, _, _, text) in TEXTS {
        let quoted = serde_json::to_string(text).unwrap();
        let inside = &quoted[1..quoted.len() - 1];
        let mut whole = Tokens::default();
        whole.escaped(inside.as_bytes());
        assert_eq!(whole.at(Dialect::OpenAiChat), count(text), "{what}");
        let mut pieces = Tokens::default();
        for piece in text.split_inclusive(' ') {
            let (one, other) = piece.split_at(piece.char_indices().nth(1).map_or(0, |(at, _)| at));
            pieces.text(one);
            pieces.text(other);
        }
        assert_eq!(pieces, whole, "{what}");
    }
}

#[test]
fn escapes_mean_what_json_means_by_them_and_broken_ones_harm_nobody() {
    for (raw, text) in [
        (r"a\nb\tc", "a\nb\tc"),
        (r#"\"\\\/"#, "\"\\/"),
        (r"\u00e9t\u00e9 \ud83d\ude00!", "été 😀!"),
        (r"\ud83d", "\u{fffd}"),
        (r"\u12", "u12"),
        (r"tail\", "tail"),
    ] {
        assert_eq!(unescaped(raw), text, "{raw}");
    }
}

/// What a stream had said when it was cut before its provider's word on what the answer took.
fn cut_before_its_usage(dialect: Dialect, name: &str) -> Seen {
    let samples = recorded(dialect, ".chunks.txt");
    let sample = samples.iter().find(|sample| sample.name == format!("{name}.chunks.txt")).unwrap();
    let mut seen = Seen::default();
    for event in sample.events() {
        let is_last_word =
            ["message_delta", "response.completed", "\"usage\":{"].iter().any(|word| event.contains(word));
        match dialect {
            Dialect::Gemini => {
                let mut element: serde_json::Value = serde_json::from_str(event).unwrap();
                element.as_object_mut().unwrap().remove("usageMetadata");
                gemini::tap::event(element.to_string().as_bytes(), &mut seen);
            }
            _ if is_last_word && !event.contains("message_start") => {}
            Dialect::Anthropic => anthropic::tap::event(event.as_bytes(), &mut seen),
            Dialect::OpenAiChat => {
                openai_chat::tap::event(&openai_chat::tap::Needles::default(), event.as_bytes(), &mut seen)
            }
            Dialect::OpenAiResponses => {
                openai_responses::tap::event(&openai_responses::tap::Needles::default(), event.as_bytes(), &mut seen);
            }
        }
    }
    seen
}

/// Every recorded stream with a usage, what its provider charged for as output, hidden thoughts taken off, and by how many hundredths
/// of that the count is off. Short ones may be off by some tokens: 10 % of a call with two arguments is less than one word.
const STREAMS: &[(Dialect, &str, u64, i64)] = &[
    (Dialect::OpenAiChat, "openai-text", 300, 6),
    (Dialect::OpenAiResponses, "github-copilot-id-rotation.1", 105 - 44, -5),
    (Dialect::OpenAiResponses, "openai-apply-patch-tool.1", 67, -33),
    (Dialect::OpenAiResponses, "openai-custom-tool.1", 20, 5),
    (Dialect::OpenAiResponses, "openai-file-search-tool.1", 621 - 512, -17),
    (Dialect::OpenAiResponses, "openai-file-search-tool.2", 543 - 448, -2),
    (Dialect::OpenAiResponses, "openai-local-shell-tool.1", 151 - 128, -48),
    (Dialect::OpenAiResponses, "openai-mcp-tool.1", 963 - 512, -7),
    (Dialect::OpenAiResponses, "openai-shell-container-multiturn.1", 20, 10),
    (Dialect::OpenAiResponses, "openai-shell-local-multiturn.1", 12, -8),
    (Dialect::OpenAiResponses, "openai-shell-tool.1", 166, 13),
    (Dialect::OpenAiResponses, "openai-tool-search.1", 46 - 20, 38),
    (Dialect::OpenAiResponses, "programmatic-tool-calling.1", 87 - 37, -36),
    (Dialect::OpenAiResponses, "programmatic-tool-calling.3", 35, -6),
    (Dialect::Anthropic, "anthropic-clear-thinking.1", 53, -23),
    (Dialect::Anthropic, "anthropic-code-execution-20250825.1", 771, 5),
    (Dialect::Anthropic, "anthropic-code-execution-20250825.2", 2479, 9),
    (Dialect::Anthropic, "anthropic-code-execution-file-upload.1", 1103, -6),
    (Dialect::Anthropic, "anthropic-combined-context-editing.1", 485, 2),
    (Dialect::Anthropic, "anthropic-json-output-format.1", 305, -10),
    (Dialect::Anthropic, "anthropic-json-tool.1", 47, 13),
    (Dialect::Anthropic, "anthropic-json-tool.2", 47, 34),
    (Dialect::Anthropic, "anthropic-mcp.1", 83, -22),
    (Dialect::Anthropic, "anthropic-message-delta-input-tokens", 2, 0),
    (Dialect::Anthropic, "anthropic-text", 30, 10),
    (Dialect::Anthropic, "anthropic-tool-no-args", 48, -19),
    (Dialect::Anthropic, "anthropic-web-fetch-tool-20260209.1", 144, 10),
    (Dialect::Anthropic, "anthropic-web-search-tool.1", 795, -1),
    (Dialect::Gemini, "google-text", 23, 4),
    (Dialect::Gemini, "google-reasoning", 29, 3),
    (Dialect::Gemini, "google-reasoning-gemini3", 23, 4),
];

/// What cannot be told from what is in these streams, and why.
const UNTOLD: &[(&str, &str)] = &[
    ("azure-model-router.1", "nearly all of it is hidden thoughts, and its text was cut to a few words"),
    ("openai-apply-patch-tool-delete.1", "its usage is zero"),
    ("programmatic-tool-calling.2", "its usage is zero"),
    ("openai-compaction.1", "most of it is an encrypted summary"),
    ("openai-phase.1", "its deltas were left out"),
    ("openai-shell-container.1", "most of what it was charged for is in no event"),
    ("openai-error.1", "it has no usage"),
    ("parallel-tool-call-wrapper.1", "it has no usage"),
    ("anthropic-advisor-stop-reasons", "its calls have no arguments, and were charged at ten tokens each"),
    ("anthropic-code-execution-20250825.pptx-skill", "most arguments were left out"),
    ("anthropic-tool-search-deferred-regex", "three answers, the last one's usage"),
    ("spliced-message-start", "two answers in one"),
    ("google-stream-no-args-tool-call", "calls in pieces: every element has the usage so far"),
    ("google-stream-tool-call-arguments", "calls in pieces: every element has the usage so far"),
    ("google-stream-tool-call-array-arguments-missing-terminal-function-call", "calls in pieces: likewise"),
    ("google-vertex-stream-tool-call-arguments-nested.1", "calls in pieces: likewise"),
];

/// By how many tokens a short answer may be off.
const SHORT: u64 = 25;

#[test]
fn recorded_answers_come_within_ten_percent_of_what_their_providers_charged() {
    let mut off = Vec::new();
    for (dialect, name, charged, percent) in STREAMS {
        let counted = cut_before_its_usage(*dialect, name).streamed.at(*dialect);
        let really = ((counted as f64 / *charged as f64 - 1.0) * 100.0).round() as i64;
        let is_near = counted.abs_diff(*charged) <= SHORT.max(charged / 10);
        if !is_near || really != *percent {
            off.push(format!("{name}: counted {counted}, charged {charged}: {really:+} %"));
        }
    }
    assert!(off.is_empty(), "{off:#?}");
}

#[test]
fn each_recorded_stream_is_counted_or_it_is_said_why_not() {
    for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini] {
        for sample in recorded(dialect, ".chunks.txt") {
            let name = sample.name.strip_suffix(".chunks.txt").unwrap();
            let is_counted = STREAMS.iter().any(|(_, counted, ..)| *counted == name);
            let is_untold = UNTOLD.iter().any(|(untold, _)| *untold == name);
            assert!(is_counted != is_untold, "{name}");
        }
    }
}

/// With Google, what is charged for a stream that was cut is what its last element said.
#[test]
fn every_element_of_googles_that_has_content_says_what_it_took_so_far() {
    for sample in recorded(Dialect::Gemini, ".chunks.txt") {
        let mut most = 0;
        for event in sample.events() {
            let mut seen = Seen::default();
            gemini::tap::event(event.as_bytes(), &mut seen);
            let Some(usage) = seen.usage.or_else(|| seen.wire_usage.map(gemini::tap::usage)) else {
                assert!(!seen.content || seen.streamed.at(Dialect::Gemini) > 0, "{}: {event}", sample.name);
                continue;
            };
            let output = usage.output.unwrap_or(0);
            assert!(output >= most, "{}: {output} after {most}", sample.name);
            most = output;
        }
        assert!(most > 0, "{}", sample.name);
    }
}

#[test]
fn of_a_request_only_what_the_model_reads_is_counted() {
    let (_, really, _, prose) = TEXTS[0];
    let message = |content: serde_json::Value| {
        json!({"model": "gpt-4.1-mini", "stream": true, "user": "somebody with a long name",
            "messages": [{"role": "system", "content": prose}, {"role": "user", "content": content}]})
    };
    // Two messages, what opens the answer, and the prose twice.
    let twice = of_request(message(prose.into()).to_string().as_bytes());
    assert_near("a conversation", twice, 2 * really + 12, 10);
    // A picture of a megabyte is as many tokens as a small one.
    let picture = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(100_000));
    let seen = message(json!([{"type": "image_url", "image_url": {"url": picture}}])).to_string();
    assert_near("a picture", of_request(seen.as_bytes()), really + PICTURE_TOKENS + 12, 35);
    assert!(weight(seen.as_bytes()) < 5_000, "{}", weight(seen.as_bytes()));
    let theirs = json!({"source": {"type": "base64", "data": "iVBORw0KGgo".repeat(10_000)}}).to_string();
    assert!(weight(theirs.as_bytes()) < 4_000, "{}", weight(theirs.as_bytes()));
}

#[test]
fn a_large_request_is_counted_by_samples() {
    let prose = TEXTS[0].3.repeat(500);
    let body = json!({"model": "gpt-4.1", "messages": [{"role": "user", "content": prose}]}).to_string();
    assert_near("a book", of_request(body.as_bytes()), TEXTS[0].1 * 500, 10);
}
