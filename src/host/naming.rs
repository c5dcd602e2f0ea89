//! Names a process by its cgroup: its container, pod, machine or unit.

/// The name for a text of /proc/<pid>/cgroup: `hierarchy:controllers:path` a line (cgroups(7)). None if the path has no
/// familiar name, as in a container that sees its own cgroup as `/`.
pub fn from_cgroups(text: &str) -> Option<String> {
    // The most specific line decides: cgroup v1 has a dozen hierarchies, and not all of them are used.
    let paths = text.lines().take(64).filter_map(|line| line.splitn(3, ':').nth(2));
    paths.filter_map(from_path).min_by_key(|(rank, _)| *rank).map(|(_, name)| name)
}

/// The name in a path, and its rank: 0, a container, is the most specific.
fn from_path(path: &str) -> Option<(u8, String)> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).take(32).collect();
    let pod = parts.iter().find_map(|part| pod(part));
    // The innermost container: one may run in another.
    let container = parts.iter().enumerate().rev().find_map(|(n, part)| {
        let parent = n.checked_sub(1).and_then(|n| parts.get(n)).copied().unwrap_or_default();
        container(part, parent)
    });
    match (pod, container) {
        (Some(pod), Some((_, id))) => Some((0, format!("k8s pod {pod} container {id}"))),
        (Some(pod), None) => Some((0, format!("k8s pod {pod}"))),
        (None, Some((kind, id))) => Some((0, format!("{kind} {id}"))),
        (None, None) => {
            let unit = parts.iter().rev().find(|part| part.ends_with(".service"))?;
            Some((1, (*unit).to_owned()))
        }
    }
}

/// `docker-<id>.scope`, `libpod-<id>.scope`, `cri-containerd-<id>.scope`, `crio-<id>.scope` where systemd makes the
/// cgroups, `docker/<id>` and a pod's `<id>` where it doesn't; `lxc.payload.<name>`, `lxc/<name>`;
/// `machine-<name>.scope`, which systemd-nspawn and libvirt use.
fn container(part: &str, parent: &str) -> Option<(&'static str, String)> {
    if let Some(name) = part.strip_prefix("lxc.payload.").filter(|name| !name.is_empty()) {
        return Some(("lxc", name.to_owned()));
    }
    if parent == "lxc" || parent == "lxc.payload" {
        return Some(("lxc", part.to_owned()));
    }
    let scope = part.strip_suffix(".scope");
    if let Some(name) = scope.and_then(|s| s.strip_prefix("machine-")) {
        // systemd writes `-` as `\x2d` in the names of units (systemd.unit(5)).
        return Some(("machine", name.replace("\\x2d", "-")));
    }
    let stem = scope.unwrap_or(part);
    let (kind, id) = match stem.rsplit_once('-') {
        Some(("docker", id)) => ("docker", id),
        Some(("libpod", id)) => ("podman", id),
        Some(("cri-containerd" | "crio" | "containerd", id)) => ("container", id),
        None if parent == "docker" => ("docker", stem),
        None if parent == "libpod_parent" => ("podman", stem),
        None => ("container", stem),
        Some(_) => return None,
    };
    let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
    // The tools themselves show twelve digits.
    is_id.then(|| (kind, id[..12].to_owned()))
}

/// `kubepods-burstable-pod<uid>.slice`, with `_` for `-` in the uid, or `pod<uid>`.
fn pod(part: &str) -> Option<String> {
    let stem = part.strip_suffix(".slice").unwrap_or(part);
    let stem = if stem.starts_with("kubepods") { stem.rsplit('-').next()? } else { stem };
    let uid = stem.strip_prefix("pod")?;
    let is_uid = uid.len() >= 32 && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-' || b == b'_');
    is_uid.then(|| uid.replace('_', "-").chars().take(40).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn containers_pods_machines_and_units_are_named() {
        let id = "0123456789abcdef".repeat(4);
        let uid = "0b9a1c1e-1c2d-4e5f-8a9b-0c1d2e3f4a5b";
        let escaped = uid.replace('-', "_");
        for (path, expected) in [
            (format!("/system.slice/docker-{id}.scope"), Some("docker 0123456789ab".to_owned())),
            (format!("/docker/{id}"), Some("docker 0123456789ab".to_owned())),
            (format!("/docker/{id}/system.slice/nginx.service"), Some("docker 0123456789ab".to_owned())),
            (format!("/machine.slice/libpod-{id}.scope/container"), Some("podman 0123456789ab".to_owned())),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{escaped}.slice/cri-containerd-{id}.scope"
                ),
                Some(format!("k8s pod {uid} container 0123456789ab")),
            ),
            (format!("/kubepods/besteffort/pod{uid}/{id}"), Some(format!("k8s pod {uid} container 0123456789ab"))),
            ("/lxc.payload.web/system.slice/ssh.service".to_owned(), Some("lxc web".to_owned())),
            ("/lxc/web".to_owned(), Some("lxc web".to_owned())),
            (r"/machine.slice/machine-my\x2dvm.scope".to_owned(), Some("machine my-vm".to_owned())),
            ("/system.slice/nginx.service".to_owned(), Some("nginx.service".to_owned())),
            ("/user.slice/user-0.slice/session-1.scope".to_owned(), None),
            ("/".to_owned(), None),
            (format!("/x-{id}.scope"), None),
        ] {
            assert_eq!(from_cgroups(&format!("0::{path}\n")), expected, "{path}");
        }
        let many = format!("9:name=systemd:/system.slice/docker.service\n4:memory:/docker/{id}\n0::/\n");
        assert_eq!(from_cgroups(&many).as_deref(), Some("docker 0123456789ab"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn reading_never_panics(text in "([0-9]:[a-z]{0,4}:(/(docker-|pod|kubepods|lxc|é|machine-)?[0-9a-f]{0,70}(.scope|.slice)?){0,4}\n?){0,3}") {
            let _ = from_cgroups(&text);
        }
    }
}
