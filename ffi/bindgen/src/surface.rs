//! The surface as text: names, types, defaults and errors, in an order of its own. What it leaves out an app cannot see.

use std::collections::BTreeMap;

use camino::Utf8Path;
use uniffi_bindgen::macro_metadata::extract_from_library;
use uniffi_meta::{DefaultValueMetadata, FieldMetadata, FnParamMetadata, LiteralMetadata, Metadata, Type};

/// What stands under one name.
type Lines = BTreeMap<String, String>;

/// The surface of a built library, as JSON.
pub fn of(library: &Utf8Path) -> anyhow::Result<String> {
    let mut parts: BTreeMap<String, Lines> = BTreeMap::new();
    for item in extract_from_library(library)? {
        let (part, name, line) = match item {
            Metadata::Func(item) => (
                "functions".to_owned(),
                item.name,
                call(item.is_async, &item.inputs, item.return_type.as_ref(), item.throws.as_ref()),
            ),
            Metadata::Constructor(item) => {
                let made = Type::Object {
                    module_path: item.module_path.clone(),
                    name: item.self_name.clone(),
                    imp: uniffi_meta::ObjectImpl::Struct,
                };
                let line = call(item.is_async, &item.inputs, Some(&made), item.throws.as_ref());
                (format!("object {}", item.self_name), format!("static {}", item.name), line)
            }
            Metadata::Method(item) => (
                format!("object {}", item.self_name),
                item.name,
                call(item.is_async, &item.inputs, item.return_type.as_ref(), item.throws.as_ref()),
            ),
            Metadata::TraitMethod(item) => (
                format!("trait {}", item.trait_name),
                item.name,
                call(item.is_async, &item.inputs, item.return_type.as_ref(), item.throws.as_ref()),
            ),
            Metadata::Record(item) => {
                parts
                    .entry(format!("record {}", item.name))
                    .or_default()
                    .extend(fields(&item.fields));
                continue;
            }
            Metadata::Enum(item) => {
                let sort = if item.shape.is_error() { "error" } else { "enum" };
                let lines = parts.entry(format!("{sort} {}", item.name)).or_default();
                // With their numbers, as fields: bindings tell them apart by these alone.
                for (number, variant) in (1_u32..).zip(item.variants) {
                    let given: Vec<String> = variant
                        .fields
                        .iter()
                        .map(|field| format!("{}: {}", field.name, type_of(&field.ty)))
                        .collect();
                    lines.insert(variant.name, format!("{number} {}", given.join(", ")).trim_end().to_owned());
                }
                continue;
            }
            Metadata::Namespace(_)
            | Metadata::UdlFile(_)
            | Metadata::Object(_)
            | Metadata::CallbackInterface(_)
            | Metadata::CustomType(_)
            | Metadata::UniffiTrait(_)
            | Metadata::ObjectTraitImpl(_) => continue,
        };
        parts.entry(part).or_default().insert(name, line);
    }
    Ok(serde_json::to_string_pretty(&parts)?)
}

fn call(is_async: bool, inputs: &[FnParamMetadata], gives: Option<&Type>, throws: Option<&Type>) -> String {
    let inputs: Vec<String> = inputs
        .iter()
        .map(|input| format!("{}: {}", input.name, type_of(&input.ty)))
        .collect();
    let gives = gives.map(|gives| format!(" -> {}", type_of(gives))).unwrap_or_default();
    let throws = throws
        .map(|throws| format!(" throws {}", type_of(throws)))
        .unwrap_or_default();
    format!(
        "{}({}){gives}{throws}",
        if is_async { "async " } else { "" },
        inputs.join(", ")
    )
}

/// Fields with their numbers: bindings hand them over in this order.
fn fields(fields: &[FieldMetadata]) -> Lines {
    let line = |(number, field): (usize, &FieldMetadata)| {
        let default = field
            .default
            .as_ref()
            .map(|default| format!(" = {}", default_of(default)))
            .unwrap_or_default();
        (field.name.clone(), format!("{} {}{default}", number + 1, type_of(&field.ty)))
    };
    fields.iter().enumerate().map(line).collect()
}

fn default_of(default: &DefaultValueMetadata) -> String {
    match default {
        DefaultValueMetadata::Default => "default".to_owned(),
        DefaultValueMetadata::Literal(LiteralMetadata::Boolean(yes)) => yes.to_string(),
        DefaultValueMetadata::Literal(LiteralMetadata::UInt(number, ..)) => number.to_string(),
        DefaultValueMetadata::Literal(LiteralMetadata::None) => "none".to_owned(),
        DefaultValueMetadata::Literal(other) => format!("{other:?}"),
    }
}

fn type_of(given: &Type) -> String {
    match given {
        Type::Object { name, .. }
        | Type::Record { name, .. }
        | Type::Enum { name, .. }
        | Type::CallbackInterface { name, .. } => name.clone(),
        Type::Optional { inner_type } => format!("{}?", type_of(inner_type)),
        Type::Sequence { inner_type } => format!("[{}]", type_of(inner_type)),
        Type::Map { key_type, value_type } => format!("{{{}: {}}}", type_of(key_type), type_of(value_type)),
        other => format!("{other:?}"),
    }
}
