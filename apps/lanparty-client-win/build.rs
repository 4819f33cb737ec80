//! Gives the Windows program its icon, version and manifest.

use std::env;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=resources");
    if env::var_os("CARGO_CFG_WINDOWS").is_none() {
        return Ok(());
    }

    winresource::WindowsResource::new()
        .set_icon("resources/softlan.ico")
        .set_manifest_file("resources/softlan.manifest")
        .set("ProductName", "softlan")
        .set(
            "FileDescription",
            "softlan: joins a LAN party from far away",
        )
        .set("OriginalFilename", "lanparty-client-win.exe")
        .set("LegalCopyright", "The softlan authors; MIT or Apache-2.0")
        .compile()
}
