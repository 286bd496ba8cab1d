//! The attribute on a struct.

use async_with::prelude::*;

#[attr::async_with]
struct Account {
    balance: u64,
}

fn main() {
    let account = Account { balance: 7 };
    println!("{}", account.balance);
}
