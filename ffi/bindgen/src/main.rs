//! Writes bindings from the metadata in the built library, by the same version as the library's scaffolding; and what the surface is
//! (`surface LIBRARY`), as JSON with one line for each thing that an app may name.

mod surface;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("surface") {
        uniffi::uniffi_bindgen_main();
        return Ok(());
    }
    let library = arguments.next().ok_or_else(|| anyhow::anyhow!("surface LIBRARY"))?;
    println!("{}", surface::of(library.as_str().into())?);
    Ok(())
}
