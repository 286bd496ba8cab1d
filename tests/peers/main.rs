//! The tests that others hold such a thing to, by name: CPython's of `async with`, TC39's of `AsyncDisposableStack`,
//! and cats-effect's of `Resource`.
//!
//! Each does what the original is about, in words of its own, and bears its name in snake case. Those of CPython are
//! run in Python as well, from `tests/python/peers.py`, and the event logs are compared.
//!
//! The tables list every test of the originals: *ported*; *differs*, which is decided differently here, by the rule
//! that is named, at compile time where a file of `tests/ui` is; *elsewhere*, which is tested where it is at home; and
//! *none*, which has no counterpart in Rust. Where a test has another name than the original, it is given.
//!
//! # CPython's `test_contextlib_async.py`, in `contextlib_async`
//!
//! | test | here | by which rule, or why not |
//! | --- | --- | --- |
//! | `test_enter` | none | `enter` has no default: the resource is a value of its own |
//! | `test_async_gen_propagates_generator_exit` | ported | CAN-1 |
//! | `test_exit_is_abstract` | none | an `impl` without `exit` does not compile |
//! | `test_structural_subclassing` | none | a manager is what implements the trait |
//! | `test_contextmanager_plain` | ported | GEN-1 |
//! | `test_contextmanager_finally` | ported | GEN-3 |
//! | `test_contextmanager_traceback` | ported | ERR-2 |
//! | `test_contextmanager_no_reraise` | ported | GEN-3 |
//! | `test_contextmanager_trap_yield_after_throw` | differs | GEN-2: `ui/generator-yields-twice.rs` |
//! | `test_contextmanager_trap_no_yield` | differs | GEN-2: `ui/generator-without-yield.rs` |
//! | `test_contextmanager_trap_second_yield` | differs | GEN-2: `ui/generator-yields-twice.rs` |
//! | `test_contextmanager_non_normalised` | ported | GEN-3, EXI-4 |
//! | `test_contextmanager_except` | ported | SUP-2, ERR-6 |
//! | `test_contextmanager_except_stopiter` | ported | ERR-2 |
//! | `test_contextmanager_wrap_runtimeerror` | differs | ERR-3, ERR-6 |
//! | `test_contextmanager_attribs` | none | functions have no attributes at run time |
//! | `test_contextmanager_doc_attrib` | none | functions have no attributes at run time |
//! | `test_instance_docstring_given_cm_docstring` | none | values have no documentation |
//! | `test_keywords` | ported | GEN-4, SYN-9 |
//! | `test_recursive` | ported | ATT-1, GEN-4 |
//! | `test_decorator` | ported | ATT-1 |
//! | `test_decorator_with_exception` | ported | ATT-1, ERR-2 |
//! | `test_decorating_method` | ported | ATT-1 |
//! | `test_instance_docs` | none | values have no documentation |
//! | `test_aclosing` | elsewhere | see `tests/managers/ready_made.rs` |
//! | `test_aclosing_error` | elsewhere | see `tests/managers/ready_made.rs` |
//! | `test_aclosing_bpo41229` | elsewhere | see `tests/managers/ready_made.rs` |
//! | `test_async_callback` | ported | STK-3 |
//! | `test_async_push` | ported | STK-3, EXI-5 |
//! | `test_enter_async_context` | ported | STK-1, STK-2 |
//! | `test_enter_async_context_errors` | differs | TYP-3: `ui/stack-enters-no-manager.rs` |
//! | `test_async_exit_exception_chaining` | differs | ERR-3, ERR-5, SUP-2 |
//! | `test_async_exit_exception_explicit_none_context` | differs | ERR-2, ERR-3, STK-1 |
//! | `test_instance_bypass_async` | none | methods belong to types |
//! | `test_async_nullcontext` | elsewhere | see `tests/managers/ready_made.rs` |
//!
//! # CPython's `test_contextlib.py`, `TestBaseExitStack`, in `contextlib`
//!
//! | test | here | by which rule, or why not |
//! | --- | --- | --- |
//! | `test_instance_docs` | none | values have no documentation |
//! | `test_no_resources` | ported | STK-1 |
//! | `test_callback` | ported | STK-3 |
//! | `test_push` | ported | STK-3, EXI-5, SUP-2 |
//! | `test_enter_context` | ported | STK-3 |
//! | `test_enter_context_errors` | differs | TYP-3: `ui/stack-enters-no-manager.rs` |
//! | `test_close` | ported | STK-4 |
//! | `test_pop_all` | ported | STK-4 |
//! | `test_exit_raise` | ported | STK-3, ERR-2 |
//! | `test_exit_suppress` | ported | STK-3, SUP-2 |
//! | `test_exit_exception_traceback` | none | errors have no list of frames |
//! | `test_exit_exception_chaining_reference` | differs | ERR-3, ERR-5, STK-1 |
//! | `test_exit_exception_chaining` | differs | ERR-3, ERR-5, STK-1 |
//! | `test_exit_exception_explicit_none_context` | differs | `test_async_exit_exception_explicit_none_context`: ERR-3 |
//! | `test_exit_exception_non_suppressing` | ported | FLO-6, SUP-2, ERR-1 |
//! | `test_exit_exception_with_correct_context` | differs | ERR-3, ERR-5 |
//! | `test_exit_exception_with_existing_context` | differs | ERR-2, ERR-5 |
//! | `test_body_exception_suppress` | ported | SUP-2 |
//! | `test_exit_exception_chaining_suppress` | ported | SUP-2, ERR-5 |
//! | `test_excessive_nesting` | ported | STK-5 |
//! | `test_instance_bypass` | none | methods belong to types |
//! | `test_dont_reraise_RuntimeError` | differs | ERR-3, ERR-5 |
//!
//! # CPython's `test_coroutines.py`, in `coroutines`
//!
//! The tests that have an `async with`; no other test of that file is about one.
//!
//! | test | here | by which rule, or why not |
//! | --- | --- | --- |
//! | `test_badsyntax_1` | differs | SYN-8: `ui/block-in-sync-fn.rs` |
//! | `test_with_1` | ported | ORD-2, SUP-2 |
//! | `test_with_2`, `test_with_3`, `test_with_4` | differs | TYP-3: `ui/future-as-manager.rs` |
//! | `test_with_5` | ported | PAN-1 |
//! | `test_with_6` | differs | TYP-3: `ui/manager-enter-not-async.rs` |
//! | `test_with_7` | none | `exit` is async by its type; `test_with_10` has one that fails after the body failed |
//! | `test_with_8` | ported | FLO-6 |
//! | `test_with_9` | ported | FLO-6, ERR-1 |
//! | `test_with_10` | differs | ERR-3, ERR-5 |
//! | `test_with_11` | ported | EXI-1, EXI-2 |
//! | `test_with_12` | ported | SUP-2 |
//! | `test_with_13` | ported | EXI-2, SUP-4 |
//! | `test_for_6` | ported | EXI-1 |
//! | `test_asyncio_1` | ported | EXI-1, ERR-2 |
//!
//! # test262's `built-ins/AsyncDisposableStack`, in `async_disposable_stack`
//!
//! | test | here | by which rule, or why not |
//! | --- | --- | --- |
//! | `adopt/adds-value-onDisposeAsync` | ported | STK-3 |
//! | `adopt/allows-any-value` | ported | STK-3 |
//! | `adopt/puts-value-onDisposeAsync-on-top-of-stack` | ported | ORD-2 |
//! | `adopt/returns-value` | ported | STK-3 |
//! | `adopt/throws-if-disposed` | differs | `use_throws_if_disposed`: STK-4, STK-5 |
//! | `defer/adds-onDisposeAsync` | ported | STK-3 |
//! | `defer/puts-onDisposeAsync-on-top-of-stack` | ported | ORD-2 |
//! | `defer/returns-undefined` | none | `callback` returns `()` |
//! | `defer/throws-if-disposed` | differs | `use_throws_if_disposed`: STK-4, STK-5 |
//! | `disposeAsync/Symbol.asyncDispose-method-not-async` | ported | `use_adds_sync_disposable_value` |
//! | `disposeAsync/disposes-resources-in-reverse-order` | ported | ORD-2, STK-3 |
//! | `disposeAsync/does-not-reinvoke-disposers-if-already-disposed` | ported | EXI-1, STK-4 |
//! | `disposeAsync/does-not-reinvoke-disposers-if-dispose-already-started` | ported | EXI-1, STK-4 |
//! | `disposeAsync/does-not-reject-if-already-disposed` | ported | STK-4 |
//! | `disposeAsync/explicit-await-for-null` | differs | `dispose_async_explicit_await_skipped_when_empty`: ORD-6 |
//! | `disposeAsync/explicit-await-for-undefined` | differs | `dispose_async_explicit_await_skipped_when_empty`: ORD-6 |
//! | `disposeAsync/explicit-await-skipped-when-empty` | ported | ORD-6 |
//! | `disposeAsync/rejects-with-error-as-is-if-only-one-error-during-disposal` | ported | ERR-2 |
//! | `disposeAsync/rejects-with-suppressederror-if-multiple-errors-during-disposal` | differs | ERR-3, ERR-5 |
//! | `disposeAsync/resolves-to-undefined` | none | `close` returns `()`, and so does a callback |
//! | `disposeAsync/returns-promise` | none | `close` is an `async fn` |
//! | `disposeAsync/sets-state-to-disposed` | differs | STK-4 |
//! | `disposed/getter` | none | there are no accessors |
//! | `disposed/returns-false-when-not-disposed` | differs | `dispose_async_sets_state_to_disposed`: STK-4 |
//! | `disposed/returns-true-when-disposed` | differs | `dispose_async_sets_state_to_disposed`: STK-4 |
//! | `move/does-not-dispose-resources` | ported | STK-4 |
//! | `move/returns-new-asyncdisposablestack-that-contains-moved-resources` | ported | STK-4 |
//! | `move/returns-new-asyncdisposablestack-that-is-still-pending` | ported | STK-4 |
//! | `move/returns-new-asyncdisposablestack` | ported | `move_returns_new_asyncdisposablestack_that_is_still_pending` |
//! | `move/sets-state-to-disposed` | differs | STK-4 |
//! | `move/still-returns-new-asyncdisposablestack-when-subclassed` | none | there are no subclasses |
//! | `move/throws-if-disposed` | differs | `move_sets_state_to_disposed`: STK-4 |
//! | `use/adds-async-disposable-value` | ported | STK-2 |
//! | `use/adds-sync-disposable-value` | ported | STK-3 |
//! | `use/allows-null-value` | elsewhere | `Option<M>`: see `tests/managers/adaptors.rs` |
//! | `use/allows-undefined-value` | elsewhere | `Option<M>`: see `tests/managers/adaptors.rs` |
//! | `use/puts-value-on-top-of-stack` | ported | ORD-2 |
//! | `use/returns-value` | ported | STK-2 |
//! | `use/throws-if-disposed` | differs | STK-4, STK-5 |
//! | `constructor`, `instance-extensible` | none | objects have no prototypes, properties and realms |
//! | `is-a-constructor`, `length`, `name` | none | objects have no prototypes, properties and realms |
//! | `newtarget-prototype-is-not-object` | none | objects have no prototypes, properties and realms |
//! | `prop-desc`, `proto-from-ctor-realm` | none | objects have no prototypes, properties and realms |
//! | `proto` | none | objects have no prototypes, properties and realms |
//! | `prototype-from-newtarget-abrupt` | none | objects have no prototypes, properties and realms |
//! | `prototype-from-newtarget-custom` | none | objects have no prototypes, properties and realms |
//! | `prototype-from-newtarget` | none | objects have no prototypes, properties and realms |
//! | `Symbol.asyncDispose` | none | objects have no prototypes, properties and realms |
//! | `Symbol.toStringTag`, `constructor` | none | objects have no prototypes, properties and realms |
//! | `prop-desc`, `proto` | none | objects have no prototypes, properties and realms |
//! | `undefined-newtarget-throws` | none | objects have no prototypes, properties and realms |
//! | `adopt/length`, `adopt/name` | none | functions have no properties, and are no constructors |
//! | `adopt/not-a-constructor` | none | functions have no properties, and are no constructors |
//! | `adopt/prop-desc`, `defer/length` | none | functions have no properties, and are no constructors |
//! | `defer/name` | none | functions have no properties, and are no constructors |
//! | `defer/not-a-constructor` | none | functions have no properties, and are no constructors |
//! | `defer/prop-desc` | none | functions have no properties, and are no constructors |
//! | `disposeAsync/length` | none | functions have no properties, and are no constructors |
//! | `disposeAsync/name` | none | functions have no properties, and are no constructors |
//! | `disposeAsync/not-a-constructor` | none | functions have no properties, and are no constructors |
//! | `disposeAsync/prop-desc` | none | functions have no properties, and are no constructors |
//! | `disposed/length`, `disposed/name` | none | functions have no properties, and are no constructors |
//! | `move/length`, `move/name` | none | functions have no properties, and are no constructors |
//! | `move/not-a-constructor` | none | functions have no properties, and are no constructors |
//! | `move/prop-desc`, `use/length` | none | functions have no properties, and are no constructors |
//! | `use/name`, `use/not-a-constructor` | none | functions have no properties, and are no constructors |
//! | `use/prop-desc` | none | functions have no properties, and are no constructors |
//! | `adopt/this-does-not-have-internal-asyncdisposablestate-throws` | none | `self` is a stack by its type |
//! | `adopt/this-not-object-throws` | none | `self` is a stack by its type |
//! | `defer/this-does-not-have-internal-asyncdisposablestate-throws` | none | `self` is a stack by its type |
//! | `defer/this-not-object-throws` | none | `self` is a stack by its type |
//! | `disposeAsync/this-does-not-have-internal-asyncdisposablestate-rejects` | none | `self` is a stack by its type |
//! | `disposeAsync/this-not-object-rejects` | none | `self` is a stack by its type |
//! | `disposed/does-not-have-asyncdisposablestate-internal-slot` | none | `self` is a stack by its type |
//! | `disposed/this-not-object-throw` | none | `self` is a stack by its type |
//! | `move/this-does-not-have-internal-asyncdisposablestate-throws` | none | `self` is a stack by its type |
//! | `move/this-not-object-throws` | none | `self` is a stack by its type |
//! | `use/this-does-not-have-internal-asyncdisposablestate-throws` | none | `self` is a stack by its type |
//! | `use/this-not-object-throws` | none | `self` is a stack by its type |
//! | `adopt/throws-if-onDisposeAsync-not-callable` | differs | TYP-3: a bound of the closure |
//! | `defer/throws-if-onDisposeAsync-not-callable` | differs | TYP-3: a bound of the closure |
//! | `use/Symbol.asyncDispose-getter` | none | methods are found when a program is compiled |
//! | `use/Symbol.dispose-getter` | none | methods are found when a program is compiled |
//! | `use/gets-value-Symbol.asyncDispose-property-once` | none | methods are found when a program is compiled |
//! | `use/gets-value-Symbol.dispose-property-after-trying-Symbol.asyncDispose` | none | methods are found when a program is compiled |
//! | `use/gets-value-Symbol.dispose-property-once` | none | methods are found when a program is compiled |
//! | `use/throws-if-value-Symbol.asyncDispose-property-is-null-or-undefined` | differs | TYP-3: `ui/stack-enters-no-manager.rs` |
//! | `use/throws-if-value-Symbol.asyncDispose-property-not-callable` | differs | TYP-3: `ui/stack-enters-no-manager.rs` |
//! | `use/throws-if-value-Symbol.dispose-property-is-null-or-undefined` | differs | TYP-3: `ui/stack-enters-no-manager.rs` |
//! | `use/throws-if-value-Symbol.dispose-property-not-callable` | differs | TYP-3: `ui/stack-enters-no-manager.rs` |
//! | `use/throws-if-value-missing-Symbol.asyncDispose-and-Symbol.dispose` | differs | TYP-3: `ui/stack-enters-no-manager.rs` |
//! | `use/throws-if-value-not-object` | differs | TYP-3: `ui/stack-enters-no-manager.rs` |
//!
//! # cats-effect's `ResourceSpec` and `ResourceJVMSpec`, in `resource`
//!
//! Tests in a group have the name of the group before theirs.
//!
//! | test | here | by which rule, or why not |
//! | --- | --- | --- |
//! | `releases resources in reverse order of acquisition` | ported | ORD-2, EXI-1 |
//! | `makes acquires non interruptible` | differs | CAN-7; see `finish_enter` in `tests/managers/adaptors.rs` |
//! | `makes acquires non interruptible, overriding uncancelable` | differs | `makes_acquires_non_interruptible`: CAN-7 |
//! | `releases resource if interruption happens during use` | ported | CAN-1, CAN-6 |
//! | `supports interruptible acquires` | ported | CAN-6, CAN-7 |
//! | `supports interruptible acquires, respecting uncancelable` | differs | CAN-7 |
//! | `release is always uninterruptible` | ported | CAN-2, CAN-5 |
//! | `eval` | none | effects are async blocks, which have `?` and `await` |
//! | `eval - interruption` | ported | CAN-1, CAN-3 |
//! | `eval(fa) <-> liftK.apply(fa)` | none | effects are async blocks, which have `?` and `await` |
//! | `evalMap` | none | effects are async blocks, which have `?` and `await` |
//! | `evalMap with error fails during use` | ported | EXI-2 |
//! | `evalTap` | none | effects are async blocks, which have `?` and `await` |
//! | `evalTap with error fails during use` | ported | `eval_map_with_error_fails_during_use` |
//! | `releases resources that implement AutoCloseable` | elsewhere | `closing`: see `tests/managers/ready_made.rs` |
//! | `allocated releases two resources` | ported | STK-4 |
//! | `allocated releases resources in reverse order of acquisition` | ported | STK-4 |
//! | `allocated does not release until close is invoked` | ported | `allocated_releases_two_resources` |
//! | `mapK`, `attempt on Resource after mapK` | none | there is one kind of effect |
//! | `mapK should preserve ExitCode-specific behaviour` | ported | EXI-4 |
//! | `mapK respects interruptible acquires` | ported | CAN-7 |
//! | `allocated produces the same value as the resource` | ported | STK-1 |
//! | `allocated does not release until close is invoked on mapK'd Resources` | none | there is one kind of effect |
//! | `use is stack-safe over binds` | ported | STK-5 |
//! | `use is stack-safe over binds - 2` | none | nothing is bound recursively |
//! | `mapK is stack-safe over binds` | none | nothing is bound recursively |
//! | `attempt is stack-safe over binds` | none | nothing is bound recursively |
//! | `safe attempt suspended resource` | ported | ERR-2 |
//! | `both: releases resources in reverse order of acquisition` | ported | `releases_resources_in_reverse_order_of_acquisition` |
//! | `both: parallel acquisition and release` | elsewhere | `join`: see `tests/managers/join.rs` |
//! | `both: safety: lhs error during rhs interruptible region` | elsewhere | `join`: see `tests/managers/join.rs` |
//! | `both: safety: rhs error during lhs uninterruptible region` | elsewhere | `join`: see `tests/managers/join.rs` |
//! | `both: propagate the exit case: use successfully, test left` | ported | `both_propagate_the_exit_case` |
//! | `both: propagate the exit case: use successfully, test right` | ported | `both_propagate_the_exit_case` |
//! | `both: propagate the exit case: use errored, test left` | ported | `both_propagate_the_exit_case` |
//! | `both: propagate the exit case: use errored, test right` | ported | `both_propagate_the_exit_case` |
//! | `both: propagate the exit case: right errored, test left` | ported | `both_propagate_the_exit_case` |
//! | `both: propagate the exit case: left errored, test right` | differs | `both_propagate_the_exit_case`: EXI-2 |
//! | `both: propagate the exit case: use canceled, test left` | ported | `both_propagate_the_exit_case` |
//! | `both: propagate the exit case: use canceled, test right` | ported | `both_propagate_the_exit_case` |
//! | `both: propagate the exit case: right canceled, test left` | ported | `both_right_canceled_test_left` |
//! | `both: propagate the exit case: left canceled, test right` | differs | `both_right_canceled_test_left`: EXI-2 |
//! | `releases both resources on combineK` | none | an alternative is a `match` |
//! | `releases both resources on combineK when using a SemigroupK instance that discards allocated values` | none | an alternative is a `match` |
//! | `combineK: behave like orElse when underlying effect does` | none | an alternative is a `match` |
//! | `combineK: behave like underlying effect` | none | an alternative is a `match` |
//! | `combineK: propagate the exit case: use successfully, test left` | none | an alternative is a `match` |
//! | `combineK: propagate the exit case: use errored, test left` | none | an alternative is a `match` |
//! | `combineK: propagate the exit case: left errored, test left` | none | an alternative is a `match` |
//! | `combineK: propagate the exit case: left errored, test right` | ported | `combine_k_left_errored_use_errored_test_right` |
//! | `combineK: propagate the exit case: left errored, use errored, test right` | ported | `combine_k_left_errored_use_errored_test_right` |
//! | `combineK: propagate the exit case: use canceled, test left` | none | an alternative is a `match` |
//! | `combineK: propagate the exit case: left errored, use canceled, test right` | none | an alternative is a `match` |
//! | `surround: wrap an effect in a usage and ignore the value produced by resource` | ported | SYN-2, SYN-7 |
//! | `surroundK: wrap an effect in a usage, ignore the value produced by resource and return FunctionK` | none | there is one kind of effect |
//! | `evalOn: run acquire and release on provided ExecutionContext` | none | a runtime is chosen by `spawn` |
//! | `onCancel: not fire when adjacent to uncancelable` | none | what must not be cancelled is a task of its own |
//! | `async: forward inner finalizers into outer scope` | none | no callbacks resume a block |
//! | `forceR: closes left scope` | ported | ORD-2 |
//! | `onCancel: catches inner cancelation` | ported | CAN-6 |
//! | `onCancel: does not extend across the region` | ported | CAN-6, STK-4 |
//! | `race: two acquisitions, closing the loser and maintaining the winner` | ported | CAN-1, STK-4 |
//! | `race: closes the loser eagerly` | ported | `race_two_acquisitions_closing_the_loser_and_maintaining_the_winner` |
//! | `start: runs fibers in parallel` | elsewhere | `task_group`: see `tests/managers/task_group.rs` |
//! | `start: run finalizers when completed and outer scope is closed` | elsewhere | `task_group`: see `tests/managers/task_group.rs` |
//! | `start: run finalizers after completion when outer scope is closed` | elsewhere | `task_group`: see `tests/managers/task_group.rs` |
//! | `start: run finalizers once when canceled` | ported | CAN-1, EXI-1 |
//! | `start: join scope contained by outer` | elsewhere | `task_group`: see `tests/managers/task_group.rs` |
//! | `Concurrent[Resource]: both: parallel acquisition and release` | elsewhere | `join`: see `tests/managers/join.rs` |
//! | `memoize: memoize and then flatten is identity` | none | a block acquires when it is entered |
//! | `memoize: allocates once and releases at end` | none | a block acquires when it is entered |
//! | `memoize: does not allocate if not used` | none | a block acquires when it is entered |
//! | `memoize: does not leak if canceled` | none | a block acquires when it is entered |
//! | `uncancelable: does not suppress errors within use` | ported | EXI-4, ERR-2 |
//! | `uncancelable: use is stack-safe over binds` | ported | `use_is_stack_safe_over_binds` |
//! | `allocatedCase: is stack-safe over binds` | ported | STK-5 |
//! | `flatten with finalizers inside-out` | ported | GEN-6 |
//! | `flattenK is stack-safe over binds` | none | nothing is bound recursively |
//! | `Resource[IO, *]`, `Resource[IO, Int]`, `Resource[PureConc, *]` | none | there are no type classes with laws |
//! | `verify use is stack-safe over binds` | none | nothing is bound recursively |
//! | `verify use is stack-safe over binds - 2` | none | nothing is bound recursively |
//! | `verify mapK is stack-safe over binds` | none | nothing is bound recursively |
//! | `verify attempt is stack-safe over binds` | none | nothing is bound recursively |

// The bodies under test are written to be seen through, not to please.
#![allow(clippy::pedantic, clippy::unit_arg)]

mod async_disposable_stack;
mod contextlib;
mod contextlib_async;
mod coroutines;
mod python;
mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, Ready, ready};
use std::path::Path;

use async_with::report::{self, Entry, Incident};
use async_with::{
    AsyncContextManager, Cause, ExitVerdict, Generated, Raised, Verdict, async_context_manager,
};
use async_with_tests::{Boom, Log, short};

/// A manager that writes down what it is told: which error, not only of which type.
pub(crate) struct Witness<V = ()> {
    log: Log,
    name: &'static str,
    enter: Option<Boom>,
    exit: Option<Boom>,
    verdict: V,
    told: Option<Boom>,
}

pub(crate) fn witness(log: &Log, name: &'static str) -> Witness {
    Witness {
        log: log.clone(),
        name,
        enter: None,
        exit: None,
        verdict: (),
        told: None,
    }
}

impl Witness {
    pub(crate) fn suppressing(self) -> Witness<Verdict> {
        Witness {
            log: self.log,
            name: self.name,
            enter: self.enter,
            exit: self.exit,
            verdict: Verdict::Suppress,
            told: None,
        }
    }
}

impl<V> Witness<V> {
    pub(crate) fn enter_fails(mut self, error: &'static str) -> Self {
        self.enter = Some(Boom(error));
        self
    }

    pub(crate) fn exit_fails(mut self, error: &'static str) -> Self {
        self.exit = Some(Boom(error));
        self
    }
}

impl<V: ExitVerdict + Send + 'static> AsyncContextManager for Witness<V> {
    type Resource = &'static str;
    type Error = Boom;
    type Exit = V;

    async fn enter(&mut self) -> Result<&'static str, Boom> {
        self.log.write(format!("enter {}", self.name));
        self.enter.map_or(Ok(self.name), Err)
    }

    async fn exit(self, _: &'static str, cause: Cause) -> Result<V, Boom> {
        let told = self.told.map_or(short(cause), |error| error.0.to_owned());
        self.log.write(format!("exit {}: {told}", self.name));
        self.exit.map_or(Ok(self.verdict), Err)
    }

    fn inspect(&mut self, _: &mut &'static str, raised: Raised<'_>) {
        self.told = raised.downcast_ref().copied();
    }
}

/// An exit that fails with an error of this name.
pub(crate) fn raises(
    log: &Log,
    name: &'static str,
) -> impl FnOnce(Cause) -> Ready<Result<(), Boom>> + Send + use<> {
    let log = log.clone();
    move |_| {
        log.write(format!("raise {name}"));
        ready(Err(Boom(name)))
    }
}

/// A manager whose exit fails with an error of this name.
pub(crate) fn raising(log: &Log, name: &'static str) -> Generated<(), Boom> {
    #[async_context_manager]
    async fn manager(log: Log, name: &'static str) -> Result<(), Boom> {
        let ((), cause) = yield_!();
        raises(&log, name)(cause).await
    }
    manager(log.clone(), name)
}

/// An exit that suppresses.
pub(crate) fn suppresses(log: &Log) -> impl FnOnce(Cause) -> Ready<Verdict> + Send + use<> {
    let log = log.clone();
    move |cause| {
        log.write(match cause {
            Cause::Failed(_) => "suppress",
            _ => "nothing to suppress",
        });
        ready(Verdict::Suppress)
    }
}

/// An exit that writes down what it is told.
pub(crate) fn tells(
    log: &Log,
    name: &'static str,
) -> impl FnOnce(Cause) -> Ready<()> + Send + use<> {
    let log = log.clone();
    move |cause| ready(log.write(format!("{name}: {}", short(cause))))
}

/// Awaits, and writes down what is raised.
pub(crate) async fn outcome(log: &Log, future: impl Future<Output = Result<(), Boom>>) {
    if let Err(error) = future.await {
        log.write(format!("raised {}", error.0));
    }
}

/// Writes down all errors: the one that was raised, then those that were reported.
pub(crate) fn happened(log: &Log, result: Result<(), Boom>, entries: &[Entry]) {
    let raised = result.err().map(|error| error.0.to_owned());
    let names: Vec<_> = raised.into_iter().chain(reported(entries)).collect();
    log.write(format!("happened: {}", names.join(" ")));
}

/// The names of the errors that were reported.
pub(crate) fn reported(entries: &[Entry]) -> Vec<String> {
    let name = |entry: &Entry| match &entry.incident {
        Incident::Error { debug, .. } => debug.split('"').nth(1).unwrap_or_default().to_owned(),
        other => panic!("{other}"),
    };
    entries.iter().map(name).collect()
}

/// Runs what CPython tests the chaining of exceptions with: the body fails, then an exit, both are suppressed, and then
/// three more exits fail.
pub(crate) async fn chained(
    scenario: &str,
    log: &Log,
    run: impl Future<Output = Result<(), Boom>>,
) {
    let (result, entries) = report::collect(run).await;
    assert_eq!(result, Err(Boom("Attribute")));
    assert_eq!(reported(&entries), ["Value", "Key", "Index"]);
    let raised: Vec<_> = log.take();
    let expected = [
        "raise Value",
        "suppress",
        "raise Attribute",
        "raise Key",
        "raise Index",
        "happened: ZeroDivision Value",
        "happened: Attribute Key Index",
    ];
    assert_eq!(raised, expected[..5]);
    python::logs(scenario, &expected);
}

const MODULES: [(&str, &str); 5] = [
    (
        "async_disposable_stack",
        include_str!("async_disposable_stack.rs"),
    ),
    ("contextlib", include_str!("contextlib.rs")),
    ("contextlib_async", include_str!("contextlib_async.rs")),
    ("coroutines", include_str!("coroutines.rs")),
    ("resource", include_str!("resource.rs")),
];

/// The names of all tests here, with their modules.
fn tests() -> BTreeMap<&'static str, &'static str> {
    let mut tests = BTreeMap::new();
    for (module, source) in MODULES {
        let mut lines = source.lines().map(str::trim_start);
        while let Some(line) = lines.next() {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                let function = lines.next().unwrap_or_default();
                let function = function
                    .trim_start_matches("async ")
                    .trim_start_matches("fn ");
                let (name, _) = function.split_once('(').expect("a function");
                assert_eq!(tests.insert(name, module), None, "{name}");
            }
        }
    }
    tests
}

/// `disposeAsync/returns-promise` becomes `dispose_async_returns_promise`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    let mut after_lower = false;
    for char in name.chars() {
        let starts = char.is_ascii_uppercase() && after_lower;
        after_lower = char.is_ascii_lowercase() || char.is_ascii_digit();
        if (starts || !char.is_ascii_alphanumeric()) && !snake.ends_with('_') {
            snake.push('_');
        }
        if char.is_ascii_alphanumeric() {
            snake.push(char.to_ascii_lowercase());
        }
    }
    snake.trim_matches('_').to_owned()
}

/// The tables name tests that are there, and all of them.
#[test]
fn the_tables_and_the_tests_agree() {
    let tests = tests();
    let (mut named, mut module) = (BTreeSet::new(), "");
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let table = include_str!("main.rs").lines();
    for line in table
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim_start)
    {
        if line.starts_with("# ") {
            module = line.rsplit('`').nth(1).expect("the heading names a module");
        }
        let cells: Vec<_> = line
            .split(" | ")
            .map(|cell| cell.trim_matches(['|', ' ']))
            .collect();
        let [originals, verdict, why] = cells[..] else {
            continue;
        };
        for file in why.split('`').filter_map(|word| word.strip_prefix("ui/")) {
            assert!(ui.join(file).is_file(), "{file}");
        }
        // The name of a test, if the cell begins with one.
        let given = why.strip_prefix('`').and_then(|why| why.split('`').next());
        let original = originals.split('`').nth(1).unwrap_or_default();
        let name = given.map_or_else(|| snake_case(original), ToOwned::to_owned);
        let found = tests.get_key_value(name.as_str());
        match verdict {
            "ported" => assert!(found.is_some(), "no {name}"),
            "differs" => assert!(found.is_some() || why.contains('-'), "no rule: {original}"),
            "elsewhere" | "none" => assert!(!why.is_empty(), "no reason: {original}"),
            _ => continue,
        }
        if let (Some((name, &of)), "ported" | "differs") = (found, verdict) {
            assert!(given.is_some() || of == module, "{name} is in {of}");
            named.insert(*name);
        }
    }
    let all: BTreeSet<_> = tests.into_keys().collect();
    assert_eq!(named, all);
}

/// Every scenario of Python's is compared with.
#[test]
fn every_scenario_has_a_test_of_its_name() {
    let script = include_str!("../python/peers.py").lines();
    let scenarios = script.filter_map(|line| {
        let line = line.trim_start_matches("async def ");
        line.starts_with("test_")
            .then(|| line.split(['(', ' ']).next())?
    });
    let mut count = 0;
    for scenario in scenarios {
        let compared = format!("\"{scenario}\"");
        assert!(
            MODULES.iter().any(|(_, source)| source.contains(&compared)),
            "{scenario}"
        );
        count += 1;
    }
    assert!(count > 40, "{count}");
}
