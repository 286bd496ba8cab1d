//! Every form of the macros in a crate that denies every lint: the expansions raise none (rule SYN-10).
//!
//! There is no `allow` in here, and nothing that is written to please: what rustc and clippy see of an expansion, they
//! see in the user's crate. The lints are denied one by one where no group holds them. Left out are those that ask for
//! something of this crate, whatever the macros do.

#![forbid(unsafe_code)]
#![deny(
    warnings,
    future_incompatible,
    keyword_idents,
    let_underscore,
    nonstandard_style,
    refining_impl_trait,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    unused
)]
#![deny(
    ambiguous_negative_literals,
    closure_returning_async_block,
    deprecated_in_future,
    deref_into_dyn_supertrait,
    explicit_outlives_requirements,
    ffi_unwind_calls,
    impl_trait_redundant_captures,
    let_underscore_drop,
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    non_ascii_idents,
    redundant_imports,
    redundant_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unstable_features,
    unused_crate_dependencies,
    unused_extern_crates,
    unused_import_braces,
    unused_lifetimes,
    unused_macro_rules,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
// Where an editor looks for names, the scope of a block seems to be written by hand to this lint, which is in no group that
// is promised to be silent.
#![allow(clippy::significant_drop_tightening)]
#![deny(
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks
)]

pub mod attribute;
pub mod bare;
pub mod block;
pub mod fragments;
pub mod generators;
pub mod jumps;
pub mod managers;
pub mod tasks;

#[cfg(test)]
mod tests;
