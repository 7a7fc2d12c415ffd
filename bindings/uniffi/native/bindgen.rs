//! uniffi's own generator, in the version that the library was compiled with.

fn main() {
    uniffi::uniffi_bindgen_main();
}
