use super::*;

fn only_function(text: &str) -> Function {
    let functions = Source::parse(text).functions();
    assert_eq!(functions.len(), 1, "{functions:?}");
    functions.into_iter().next().unwrap()
}

#[test]
fn length_runs_from_fn_to_its_closing_brace() {
    let function =
        only_function("/// Says it.\n#[must_use]\npub fn f(\n    a: u8,\n) -> u8 {\n    a\n}\n");
    assert_eq!((function.name.as_str(), function.line, function.lines), ("f", 3, 5));
}

#[test]
fn braces_in_texts_and_comments_do_not_count() {
    let text = "fn f() {\n    let a = \"}\\\"}\"; // }\n    let b = r#\"}\"}\"#;\n    let c = '}';\n    /* } /* } */ } */\n    let d = b'\\'';\n}\nfn g() {}\n";
    let functions = Source::parse(text).functions();
    let lengths: Vec<_> =
        functions.iter().map(|function| (function.name.as_str(), function.lines)).collect();
    assert_eq!(lengths, [("f", 7), ("g", 1)]);
}

#[test]
fn lifetimes_are_no_characters() {
    let function = only_function("fn f<'a>(text: &'a str) -> &'a str {\n    text\n}\n");
    assert_eq!((function.lines, function.generic), (3, false));
}

#[test]
fn functions_without_body_and_types_are_left_out() {
    let text =
        "trait T {\n    fn a(&self) -> [u8; 3];\n    fn b(&self) {}\n}\ntype F = fn(u8) -> u8;\n";
    assert_eq!(only_function(text).name, "b");
}

#[test]
fn type_and_constant_parameters_make_a_function_generic() {
    for (text, generic) in [
        ("fn f<T: Copy>(t: T) {}", true),
        ("fn f<'a, T>(t: &'a T) {}", true),
        ("fn f<const N: usize>() {}", true),
        ("fn f<F: Fn(u8) -> u8>(f: F) {}", true),
        ("fn f<'a, 'b: 'a>(t: &'a str) -> Vec<T> {}", false),
        ("fn f(t: impl Copy) -> Vec<u8> {}", false),
    ] {
        assert_eq!(only_function(text).generic, generic, "{text}");
    }
}

#[test]
fn items_for_tests_only_are_marked() {
    let text = "fn product() {}\n#[cfg(test)]\n#[expect(dead_code, reason = \"x\")]\nmod tests {\n    fn helper() {}\n}\n#[cfg(not(test))]\nfn other() {}\n";
    let marked: Vec<_> = Source::parse(text)
        .functions()
        .iter()
        .map(|function| (function.name.clone(), function.test))
        .collect();
    assert_eq!(
        marked,
        [("product".to_owned(), false), ("helper".to_owned(), true), ("other".to_owned(), false)]
    );
}

#[test]
fn modules_in_test_files_are_named() {
    let source = Source::parse("mod a;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod inline {}\n");
    assert_eq!(source.test_modules(), ["tests"]);
}

#[test]
fn lines_are_code_comment_or_documentation() {
    let text = "//! Doc.\n\n// why\nlet a = 1; // aside\n/// Doc.\nlet s = \"\n\n\";\n";
    let kinds: String = Source::parse(text)
        .lines()
        .iter()
        .map(|line| match (line.code, line.comment, line.doc) {
            (false, false, false) => '-',
            (true, false, false) => 'c',
            (true, true, false) => 'b',
            (false, true, false) => '/',
            (false, false, true) => 'd',
            _ => '?',
        })
        .collect();
    assert_eq!(kinds, "d-/bdccc");
}

#[test]
fn words_are_found_whole_and_in_code_only() {
    let source = Source::parse("// unsafe\nlet not_unsafe = \"unsafe\";\nunsafe { f() }\n");
    assert_eq!(source.lines_with_word("unsafe").collect::<Vec<_>>(), [3]);
}
