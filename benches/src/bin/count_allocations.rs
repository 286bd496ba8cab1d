//! Prints how often every block allocates, in the order of [`blocks`]. A program of its own: the counting allocator
//! would slow down what is timed.

use async_with_benches::{Repeat, blocks};

fn main() {
    for block in blocks() {
        // The first run of all may set up thread-locals.
        block.visit(Repeat(1));
        let counted = allocation_counter::measure(|| block.visit(Repeat(100)));
        println!("{}", counted.count_total / 100);
    }
}
