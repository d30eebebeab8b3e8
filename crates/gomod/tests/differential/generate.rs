//! Questions: valid text, mutated a little. The same in every run.

use crate::corpus;

/// One question to both sides.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) op: &'static str,
    pub(crate) args: Vec<String>,
}

impl Question {
    /// Returns the question as one line of JSON.
    pub(crate) fn to_json(&self) -> String {
        format!("{}\n", serde_json::json!({ "op": self.op, "args": self.args }))
    }
}

/// Makes `count` questions of every kind.
pub(crate) fn questions(count: usize) -> Vec<Question> {
    let mut random = Random(0x6c61_7264_6572);
    let mut questions = Vec::new();
    for kind in corpus::KINDS {
        for _ in 0..count {
            let args = kind.args.iter().map(|text| text.make(&mut random)).collect();
            questions.push(Question { op: kind.op, args });
        }
    }
    questions
}

/// Asks of characters whether they are letters, print, and how they fold.
///
/// All below U+32400, behind which nothing but tags is assigned; of the others every 61st. Folding
/// is asked of all.
pub(crate) fn every_character() -> Vec<Question> {
    let dense = '\0'..'\u{32400}';
    let sparse = ('\u{32400}'..=char::MAX).step_by(61);
    let kinds = dense.chain(sparse).flat_map(|c| {
        let letter = Question { op: "check-file-path", args: vec![c.to_string()] };
        [letter, Question { op: "modfile", args: vec![format!("x {c}x\n")] }]
    });
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    let folds =
        all.chunks(4096).map(|chunk| Question { op: "fold", args: vec![chunk.iter().collect()] });
    kinds.chain(folds).collect()
}

/// How one argument is made.
pub(crate) struct Text {
    /// Valid and nearly valid texts to begin with.
    pub(crate) seeds: &'static [&'static str],
    /// What is put in; whole words make syntax that single characters never hit.
    pub(crate) pieces: &'static [&'static str],
    /// The greatest number of mutations.
    pub(crate) mutations: usize,
}

impl Text {
    fn make(&self, random: &mut Random) -> String {
        let mut text = random.pick(self.seeds).to_owned();
        for _ in 0..random.below(self.mutations + 1) {
            text = self.mutate(&text, random);
        }
        text
    }

    fn mutate(&self, text: &str, random: &mut Random) -> String {
        let characters: Vec<char> = text.chars().collect();
        let (head, tail) = characters.split_at(random.below(characters.len() + 1));
        let head: String = head.iter().collect();
        let cut = random.below(tail.len() + 1).min(random.below(8));
        let (cut, tail) = tail.split_at(cut);
        let (cut, tail): (String, String) = (cut.iter().collect(), tail.iter().collect());
        match random.below(6) {
            0 => format!("{head}{tail}"),
            1 => format!("{head}{cut}{cut}{tail}"),
            2 => {
                let other = random.pick(self.seeds);
                let at = random.below(other.len() + 1);
                format!("{head}{}", other.get(at..).unwrap_or(other))
            }
            3 => format!("{head}{}{tail}", random.pick(self.pieces)),
            _ => format!("{head}{}{cut}{tail}", random.pick(self.pieces)),
        }
    }
}

/// A generator of pseudo-random numbers (`SplitMix64`), so that a failure can be repeated.
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound.max(1)
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from.get(self.below(from.len())).copied().unwrap_or_default()
    }
}
