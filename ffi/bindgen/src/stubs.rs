//! The surface for Python's type checkers and editors: what the generated half is at run time, it does not say in types that they understand.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camino::Utf8Path;
use uniffi_bindgen::macro_metadata::extract_from_library;
use uniffi_meta::{EnumMetadata, FieldMetadata, FnParamMetadata, Metadata, RecordMetadata, Type, VariantMetadata};

const HEAD: &str = "# The types of `_core`. Written from the built library, like that itself.\n\n\
    import builtins\nimport enum\nimport typing\n\n\
    class InternalError(Exception): ...\n";

/// Whoever tries to make one of these himself is told so at run time.
const UNMADE: &str = "    def __init__(self, *args: typing.Any, **kwargs: typing.Any) -> None: ...\n";

/// A class of methods, as it grows.
#[derive(Default)]
struct Methods {
    doc: Option<String>,
    /// Implemented by apps; else by the library.
    is_theirs: bool,
    constructors: String,
    text: String,
}

impl Methods {
    fn says(&mut self, name: (bool, &str), given: &[FnParamMetadata], back: Option<&Type>, doc: Option<&String>) {
        call(&mut self.text, "    ", name, inputs(&["self"], given), &gives(back), doc);
    }
}

/// The types of a built library, as a stub file.
pub fn of(library: &Utf8Path) -> anyhow::Result<String> {
    let mut classes: BTreeMap<String, Methods> = BTreeMap::new();
    let (mut values, mut functions) = (String::new(), String::new());
    for item in extract_from_library(library)? {
        match item {
            Metadata::Func(item) => {
                let gives = gives(item.return_type.as_ref());
                call(
                    &mut functions,
                    "",
                    (item.is_async, &item.name),
                    inputs(&[], &item.inputs),
                    &gives,
                    item.docstring.as_ref(),
                );
            }
            Metadata::Object(item) => classes.entry(item.name).or_default().doc = item.docstring,
            Metadata::Constructor(item) => {
                let class = classes.entry(item.self_name.clone()).or_default();
                class.constructors.push_str("    @classmethod\n");
                let inputs = inputs(&["cls"], &item.inputs);
                call(
                    &mut class.constructors,
                    "    ",
                    (item.is_async, &item.name),
                    inputs,
                    &item.self_name,
                    item.docstring.as_ref(),
                );
            }
            Metadata::Method(item) => classes.entry(item.self_name).or_default().says(
                (item.is_async, &item.name),
                &item.inputs,
                item.return_type.as_ref(),
                item.docstring.as_ref(),
            ),
            Metadata::TraitMethod(item) => {
                let class = classes.entry(item.trait_name).or_default();
                class.is_theirs = true;
                class.says(
                    (item.is_async, &item.name),
                    &item.inputs,
                    item.return_type.as_ref(),
                    item.docstring.as_ref(),
                );
            }
            Metadata::Record(item) => values.push_str(&record(&item)),
            Metadata::Enum(item) => values.push_str(&enumeration(&item)),
            Metadata::CallbackInterface(item) => classes.entry(item.name).or_default().doc = item.docstring,
            Metadata::Namespace(_)
            | Metadata::UdlFile(_)
            | Metadata::CustomType(_)
            | Metadata::UniffiTrait(_)
            | Metadata::ObjectTraitImpl(_) => {}
        }
    }
    let classes: String = classes.iter().map(|(name, class)| object(name, class)).collect();
    Ok([HEAD, &values, &classes, "\n", &functions].concat())
}

/// The library's own come with a protocol, which a stand-in of a test may fill.
fn object(name: &str, class: &Methods) -> String {
    let doc = docstring(class.doc.as_ref(), "    ");
    if class.is_theirs {
        format!("\nclass {name}:\n{doc}{}\nclass {name}Impl({name}):\n{UNMADE}", class.text)
    } else {
        format!(
            "\nclass {name}Protocol(typing.Protocol):\n{doc}{}\nclass {name}({name}Protocol):\n{UNMADE}{}",
            class.text, class.constructors
        )
    }
}

fn record(item: &RecordMetadata) -> String {
    let mut text = format!("\nclass {}:\n{}", item.name, docstring(item.docstring.as_ref(), "    "));
    text.push_str(&fields(&item.fields, "    "));
    let inputs = item
        .fields
        .iter()
        .map(|field| input(&field.name, &field.ty, field.default.is_some()));
    let inputs: Vec<String> = ["self".to_owned(), "*".to_owned()].into_iter().chain(inputs).collect();
    call(&mut text, "    ", (false, "__init__"), inputs, "None", None);
    text.push_str("    __hash__: typing.ClassVar[None] # type: ignore[assignment]\n");
    text
}

/// One value among some; or one of several classes, each a class of the whole and named in it; or an error.
fn enumeration(item: &EnumMetadata) -> String {
    let name = &item.name;
    let is_error = item.shape.is_error();
    let is_plain = !is_error && item.variants.iter().all(|variant| variant.fields.is_empty());
    let base = if is_error {
        "(Exception)"
    } else if is_plain {
        "(enum.Enum)"
    } else {
        ""
    };
    let mut text = format!("\nclass {name}{base}:\n{}", docstring(item.docstring.as_ref(), "    "));
    for (number, variant) in item.variants.iter().enumerate() {
        let code = if is_error {
            variant.name.clone()
        } else {
            shouted(&variant.name)
        };
        if is_plain {
            let _ = writeln!(text, "    {code} = {number}");
            text.push_str(&docstring(variant.docstring.as_ref(), "    "));
        } else {
            text.push_str(&choice(name, &code, variant, is_error));
        }
    }
    text
}

fn choice(of: &str, code: &str, variant: &VariantMetadata, is_error: bool) -> String {
    let mut text = format!(
        "    class {code}({of}):\n{}",
        docstring(variant.docstring.as_ref(), "        ")
    );
    text.push_str(&fields(&variant.fields, "        "));
    let inputs = variant.fields.iter().map(|field| input(&field.name, &field.ty, false));
    call(
        &mut text,
        "        ",
        (false, "__init__"),
        ["self".to_owned()].into_iter().chain(inputs).collect(),
        "None",
        None,
    );
    if !is_error {
        for asked in [format!("is_{code}"), format!("is_{}", code.to_lowercase())] {
            call(
                &mut text,
                "    ",
                (false, &asked),
                vec!["self".to_owned()],
                "builtins.bool",
                None,
            );
        }
    }
    text
}

fn fields(fields: &[FieldMetadata], margin: &str) -> String {
    let line = |field: &FieldMetadata| {
        let doc = docstring(field.docstring.as_ref(), margin);
        format!("{margin}{}: {}\n{doc}", field.name, type_of(&field.ty))
    };
    fields.iter().map(line).collect()
}

fn call(text: &mut String, margin: &str, (is_async, name): (bool, &str), inputs: Vec<String>, gives: &str, doc: Option<&String>) {
    let def = if is_async { "async def" } else { "def" };
    let _ = write!(text, "{margin}{def} {name}({}) -> {gives}:", inputs.join(", "));
    let inner = format!("{margin}    ");
    match doc {
        Some(_) => text.push_str(&format!("\n{}", docstring(doc, &inner))),
        None => text.push_str(" ...\n"),
    }
}

fn inputs(first: &[&str], given: &[FnParamMetadata]) -> Vec<String> {
    let given = given
        .iter()
        .map(|given| input(&given.name, &given.ty, given.default.is_some()));
    first.iter().map(|first| (*first).to_owned()).chain(given).collect()
}

fn input(name: &str, ty: &Type, may_be_left_out: bool) -> String {
    format!("{name}: {}{}", type_of(ty), if may_be_left_out { " = ..." } else { "" })
}

fn gives(gives: Option<&Type>) -> String {
    gives.map_or("None".to_owned(), type_of)
}

fn docstring(doc: Option<&String>, margin: &str) -> String {
    let Some(doc) = doc else { return String::new() };
    let doc = doc.replace('\\', "\\\\").replace("\"\"\"", "'''");
    let lines: Vec<&str> = doc.trim().lines().map(str::trim_end).collect();
    format!("{margin}\"\"\"{}\"\"\"\n", lines.join(&format!("\n{margin}")))
}

/// `YesNo` as `YES_NO`.
fn shouted(name: &str) -> String {
    let mut text = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            text.push('_');
        }
        text.extend(letter.to_uppercase());
    }
    text
}

/// By full names: a field may be called `bytes`.
fn type_of(given: &Type) -> String {
    match given {
        Type::UInt8 | Type::Int8 | Type::UInt16 | Type::Int16 | Type::UInt32 | Type::Int32 | Type::UInt64 | Type::Int64 => {
            "builtins.int".to_owned()
        }
        Type::Float32 | Type::Float64 => "builtins.float".to_owned(),
        Type::Boolean => "builtins.bool".to_owned(),
        Type::String => "builtins.str".to_owned(),
        Type::Bytes => "builtins.bytes".to_owned(),
        Type::Object { name, .. }
        | Type::Record { name, .. }
        | Type::Enum { name, .. }
        | Type::CallbackInterface { name, .. } => name.clone(),
        Type::Optional { inner_type } => format!("{} | None", type_of(inner_type)),
        Type::Sequence { inner_type } => format!("builtins.list[{}]", type_of(inner_type)),
        Type::Map { key_type, value_type } => format!("builtins.dict[{}, {}]", type_of(key_type), type_of(value_type)),
        other => panic!("no type of Python's for {other:?} yet"),
    }
}
