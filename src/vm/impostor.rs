//! Finds guests that do not run the image's kernel: the agent's report must match the image and the console.

use super::console;

/// Whether the agent names another release than the image.
pub(crate) fn contradicts_image(said: &str, image: Option<&str>) -> Option<String> {
    let image = image.filter(|image| *image != said)?;
    Some(format!("the agent reports Linux {said}, but the image is Linux {image}"))
}

/// Why the agent ran on another kernel than the image's, if it did. Call it once the console is complete, because the
/// console can lag behind the agent's port.
pub(crate) fn impostor(said: &str, banner: Option<&str>, image: Option<&str>) -> Option<String> {
    let Some(banner) = banner else {
        return Some(format!("the agent reports Linux {said}, but the console shows no `Linux version` banner"));
    };
    let on_console = banner.strip_prefix(console::BANNER).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let why = || format!("the agent reports Linux {said}, but the console's banner says {on_console:?}");
    contradicts_image(said, image).or_else(|| (said != on_console).then(why))
}
