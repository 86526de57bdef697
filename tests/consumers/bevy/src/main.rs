//! Reads what Bevy and bevy_asset_loader read, into types that serialize as theirs do, and prints it as JSON.
//!
//! glam's vectors are tuple structs to serde; bevy_image's TextureAtlasLayout derives it; bevy_asset_loader's dynamic
//! assets are an enum that denies unknown fields, whose optional numbers are written without `Some`.

use serde::{de::DeserializeOwned, Deserialize, Deserializer, Serialize};
use std::{collections::BTreeMap, env, fs};

#[derive(Deserialize, Serialize, PartialEq, Debug)]
struct UVec2(u32, u32);

#[derive(Deserialize, Serialize, PartialEq, Debug)]
struct Vec2(f32, f32);

#[derive(Deserialize, Serialize, PartialEq, Debug)]
struct URect {
    min: UVec2,
    max: UVec2,
}

#[derive(Deserialize, Serialize, PartialEq, Debug)]
struct TextureAtlasLayout {
    size: UVec2,
    textures: Vec<URect>,
}

#[derive(Deserialize, Serialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Frame {
    page: usize,
    index: usize,
    offset: UVec2,
    source_size: UVec2,
    anchor: Vec2,
    milliseconds: u64,
}

#[derive(Deserialize, Serialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Shown {
    page: usize,
    index: usize,
    milliseconds: u64,
}

#[derive(Deserialize, Serialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Tag {
    repeat: u32,
    frames: Vec<Shown>,
}

#[derive(Deserialize, Serialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Sprites {
    pages: Vec<String>,
    frames: BTreeMap<String, Frame>,
    tags: BTreeMap<String, Tag>,
}

#[derive(Deserialize, Serialize, PartialEq, Debug)]
enum Sampler {
    Nearest,
    Linear,
}

#[derive(Deserialize, Serialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
enum Asset {
    File {
        path: String,
    },
    Image {
        path: String,
        sampler: Sampler,
    },
    TextureAtlasLayout {
        tile_size_x: u32,
        tile_size_y: u32,
        columns: u32,
        rows: u32,
        #[serde(default, deserialize_with = "given")]
        padding_x: Option<u32>,
        #[serde(default, deserialize_with = "given")]
        padding_y: Option<u32>,
        #[serde(default, deserialize_with = "given")]
        offset_x: Option<u32>,
        #[serde(default, deserialize_with = "given")]
        offset_y: Option<u32>,
    },
}

#[derive(Deserialize, Serialize, PartialEq, Debug)]
struct Assets(BTreeMap<String, Asset>);

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    u32::deserialize(deserializer).map(Some)
}

fn read<T: DeserializeOwned + Serialize>(path: &str, text: &str) -> String {
    let value: T = if path.ends_with(".ron") {
        ron::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"))
    } else {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    serde_json::to_string(&value).unwrap()
}

fn main() {
    for path in env::args().skip(1) {
        let text = fs::read_to_string(&path).unwrap();
        let stem = path.rsplit_once('.').unwrap().0;
        let found = if stem.ends_with(".layout") {
            read::<TextureAtlasLayout>(&path, &text)
        } else if stem.ends_with(".sprites") {
            read::<Sprites>(&path, &text)
        } else {
            read::<Assets>(&path, &text)
        };
        println!("{found}");
    }
}
