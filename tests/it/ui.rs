//! What the compiler says about mistakes. `tests/ui` holds one mistake per file, and beside it what rustc says about it.
//! `tests/ui/pass` holds what the message or the manual tells one to write in place of some, under the same name.
//!
//! `TRYBUILD=overwrite` rewrites the messages. They are those of the pinned toolchain.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Compiles the remedies with the tests: for trybuild, each would be a program to be linked.
macro_rules! remedies {
    ($($path:literal $name:ident,)*) => {
        $(
            #[allow(dead_code)]
            #[path = $path]
            mod $name;
        )*
        const REMEDIES: &[&str] = &[$(stringify!($name)),*];
    };
}

remedies! {
    "../ui/pass/as-some.rs" as_some,
    "../ui/pass/async-mutex-guard-as-manager.rs" async_mutex_guard_as_manager,
    "../ui/pass/attribute-on-closure.rs" attribute_on_closure,
    "../ui/pass/block-in-sync-closure.rs" block_in_sync_closure,
    "../ui/pass/both-imported-by-name.rs" both_imported_by_name,
    "../ui/pass/break-in-unknown-macro.rs" break_in_unknown_macro,
    "../ui/pass/callback-not-async.rs" callback_not_async,
    "../ui/pass/cast-without-parentheses.rs" cast_without_parentheses,
    "../ui/pass/cell-in-spawned-task.rs" cell_in_spawned_task,
    "../ui/pass/else-that-never-runs.rs" else_that_never_runs,
    "../ui/pass/else-without-block.rs" else_without_block,
    "../ui/pass/error-not-debug.rs" error_not_debug,
    "../ui/pass/error-not-static.rs" error_not_static,
    "../ui/pass/fallible-manager-without-from.rs" fallible_manager_without_from,
    "../ui/pass/file-as-manager.rs" file_as_manager,
    "../ui/pass/future-as-manager.rs" future_as_manager,
    "../ui/pass/generator-parameter-not-send.rs" generator_parameter_not_send,
    "../ui/pass/generic-manager-may-suppress.rs" generic_manager_may_suppress,
    "../ui/pass/interrupt-captures-self.rs" interrupt_captures_self,
    "../ui/pass/join-of-different-errors.rs" join_of_different_errors,
    "../ui/pass/join-without-tuple.rs" join_without_tuple,
    "../ui/pass/local-manager-in-spawned-task.rs" local_manager_in_spawned_task,
    "../ui/pass/manage-not-async.rs" manage_not_async,
    "../ui/pass/manager-borrows-with-attribute.rs" manager_borrows_with_attribute,
    "../ui/pass/manager-without-types.rs" manager_without_types,
    "../ui/pass/mut-in-tuple-pattern.rs" mut_in_tuple_pattern,
    "../ui/pass/mutex-guard-as-manager.rs" mutex_guard_as_manager,
    "../ui/pass/reference-in-tuple-pattern.rs" reference_in_tuple_pattern,
    "../ui/pass/shared-lock-by-reference.rs" shared_lock_by_reference,
    "../ui/pass/resource-in-spawned-task.rs" resource_in_spawned_task,
    "../ui/pass/resource-returned-as-value.rs" resource_returned_as_value,
    "../ui/pass/result-as-manager.rs" result_as_manager,
    "../ui/pass/stack-callback-not-async.rs" stack_callback_not_async,
    "../ui/pass/stack-enters-infallible-manager.rs" stack_enters_infallible_manager,
    "../ui/pass/stack-error-not-send.rs" stack_error_not_send,
    "../ui/pass/stack-outside-of-block.rs" stack_outside_of_block,
    "../ui/pass/suppressing-manager-with-value.rs" suppressing_manager_with_value,
    "../ui/pass/task-is-a-closure.rs" task_is_a_closure,
    "../ui/pass/temporary-dropped-before-enter.rs" temporary_dropped_before_enter,
    "../ui/pass/variable-initialized-in-body.rs" variable_initialized_in_body,
    "../ui/pass/variable-moved-in-returning-branch.rs" variable_moved_in_returning_branch,
}

/// Mistakes that give more than one error, how many, and why.
const SEVERAL: &[(&str, usize, &str)] = &[
    ("five-mistakes", 5, "there are five mistakes"),
    ("five-mistakes-in-one-block", 5, "there are five mistakes"),
    (
        "continue-in-looping-block",
        2,
        "rustc reports both branches of an `if`",
    ),
    (
        "generator-by-hand",
        2,
        "each of the two functions asks for a promise",
    ),
    (
        "two-fallible-managers-without-result",
        2,
        "each of the two managers can fail",
    ),
    (
        "join-without-tuple",
        2,
        "rustc reports the number of arguments",
    ),
    (
        "resource-not-send",
        2,
        "rustc checks the associated type and the future of `exit`",
    ),
    (
        "manager-borrows",
        8,
        "rustc checks the bound at each future of the protocol",
    ),
    (
        "dyn-manager-as-item",
        3,
        "rustc reports the type wherever it meets it",
    ),
    (
        "stack-error-not-send",
        2,
        "rustc asks for the bound at the item and at the block",
    ),
    (
        "generator-yields-by-keyword",
        2,
        "rustc reports that the keyword is unstable",
    ),
    (
        "variable-initialized-in-body",
        2,
        "rustc reports the capture and the assignment",
    ),
    (
        "attribute-without-import",
        3,
        "nothing of this crate sees the function",
    ),
    (
        "both-imported-by-name",
        2,
        "rustc reports the import and the ambiguity",
    ),
    (
        "attribute-on-module-in-another-file",
        2,
        "rustc reports that file modules are unstable here",
    ),
    (
        "attribute-on-block",
        3,
        "rustc reports that attributes on expressions are unstable",
    ),
    (
        "attribute-on-closure",
        3,
        "rustc reports that attributes on expressions are unstable",
    ),
    (
        "attribute-on-let",
        3,
        "rustc reports that attributes on statements are unstable",
    ),
    (
        "with-block-outside-of-attribute",
        2,
        "rustc reports that attributes on expressions are unstable",
    ),
    (
        "with-above-expression",
        2,
        "the attribute is left to rustc, and the name is not bound",
    ),
    (
        "syntax-error-in-jumping-body",
        2,
        "a jump in what is not Rust is not rewritten",
    ),
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ui")
}

/// The names of the files with an extension, without it.
fn names(directory: &Path, extension: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// The messages, by the name of the mistake.
fn messages() -> Vec<(String, String)> {
    let read = |name: String| {
        let message = fs::read_to_string(directory().join(format!("{name}.stderr"))).unwrap();
        (name, message)
    };
    names(&directory(), "stderr")
        .into_iter()
        .map(read)
        .collect()
}

/// SYN-1, SYN-2, SYN-6, SYN-8, ORD-4, ORD-5, FLO-3, ERR-0, ERR-1, SUP-3, ATT-2, ATT-3, TYP-1, TYP-3: what they forbid is
/// a compile error, and what they tell to write in its place compiles.
#[test]
fn mistakes_give_the_messages_beside_them() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/*.rs");
}

#[test]
fn every_mistake_has_a_message_and_every_remedy_a_mistake() {
    let mistakes = names(&directory(), "rs");
    assert_eq!(mistakes, names(&directory(), "stderr"));
    let remedies = names(&directory().join("pass"), "rs");
    let orphans: Vec<_> = remedies.difference(&mistakes).collect();
    assert!(
        orphans.is_empty(),
        "no mistake has these names: {orphans:?}"
    );
    let compiled = REMEDIES.iter().map(|name| name.replace('_', "-")).collect();
    assert_eq!(remedies, compiled);
}

/// SYN-8, TYP-3: one mistake is one error, and several are shown by one compilation.
#[test]
fn a_mistake_gives_one_error() {
    let mut wrong = Vec::new();
    for (name, message) in messages() {
        let summary = |line: &str| {
            ["error: could not compile", "error: aborting"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        let errors = message
            .lines()
            .filter(|line| line.starts_with("error") && !summary(line))
            .count();
        let exception = SEVERAL.iter().find(|(mistake, ..)| *mistake == name);
        let expected = exception.map_or(1, |(_, errors, _)| *errors);
        if errors != expected {
            wrong.push(format!("{name}: {errors} errors, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let known = names(&directory(), "stderr");
    for (name, _, reason) in SEVERAL {
        assert!(known.contains(*name), "{name} ({reason}) is gone");
    }
}

/// TYP-3: no private path appears in any message.
#[test]
fn no_message_shows_a_private_path() {
    for (name, message) in messages() {
        assert!(!message.contains("private"), "{name}:\n{message}");
    }
}
