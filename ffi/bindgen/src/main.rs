//! Writes bindings from the metadata in the built library, by the same version as the library's scaffolding; and what the surface is
//! (`surface LIBRARY`), as JSON with one line for each thing that an app may name, or as types for Python (`stubs LIBRARY`).

mod stubs;
mod surface;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let written = match arguments.next().as_deref() {
        Some("surface") => surface::of,
        Some("stubs") => stubs::of,
        _ => {
            uniffi::uniffi_bindgen_main();
            return Ok(());
        }
    };
    let library = arguments
        .next()
        .ok_or_else(|| anyhow::anyhow!("surface or stubs: of which LIBRARY?"))?;
    println!("{}", written(library.as_str().into())?.trim_end());
    Ok(())
}
