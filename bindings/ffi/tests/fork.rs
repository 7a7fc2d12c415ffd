//! A fork that could not wait: alone in its file, because it spoils its process.

use std::sync::Barrier;
use std::time::Duration;
use ventros_ffi::{Engine, prepare_fork};

#[test]
fn a_child_of_a_fork_in_the_middle_of_a_call_refuses_to_open() {
    let barrier = &Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _inside = ventros_sqlite::fork::enter();
            barrier.wait();
            barrier.wait();
        });
        barrier.wait();
        // This process plays the child; the thread that is inside is one that it would not have.
        prepare_fork(Duration::from_millis(1)).is_child();
        barrier.wait();
    });
    let refused = Engine::open(":memory:", b"{}", None).err().unwrap();
    assert_eq!(refused.0.code(), ventros::kernel::ErrorCode::Forked);
}
