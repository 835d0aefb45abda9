//! Prepares linking of the Node binding; a build without the `node` feature needs nothing of it.

fn main() {
    if std::env::var_os("CARGO_FEATURE_NODE").is_some() {
        napi_build::setup();
        // Runtime threads execute this library's code until the process ends, but Node unloads an
        // addon when the last environment that loaded it (a worker, say) is gone. The library
        // must stay mapped.
        if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        }
    }
}
