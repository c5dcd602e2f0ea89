//! Command lines of tools that name the host or namespace in their own way, in the words of a shell.

/// Prompts of emulators whose hosts are network namespaces of one machine.
const EMULATORS: &[&str] = &["mininet>", "containernet>", "mininet-wifi>"];

/// The line that a shell would have: `[db1] run: ss` of Fabric is `$ ssh db1 ss`, and `mininet> h1 ss` is
/// `$ ip netns exec h1 ss`.
pub fn of_shell(line: &str) -> Option<String> {
    let line = line.trim();
    if let Some((host, rest)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
        let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@:".contains(c));
        let (how, call) = rest.split_once(": ")?;
        return match how {
            "run" | "sudo" if is_host => Some(format!("$ ssh {host} {call}")),
            "local" | "localhost" => Some(format!("$ {call}")),
            _ => None,
        };
    }
    let (prompt, rest) = line.split_once(' ')?;
    let (node, call) = rest.trim().split_once(' ')?;
    let is_node = EMULATORS.contains(&prompt) && node.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    is_node.then(|| match node {
        "sh" => format!("$ {call}"),
        node => format!("$ ip netns exec {node} {call}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_own_command_lines_are_put_in_a_shells_words() {
        for (line, expected) in [
            ("[db1] run: ss -tan", Some("$ ssh db1 ss -tan")),
            ("[root@10.0.0.5:22] sudo: nstat -az", Some("$ ssh root@10.0.0.5:22 nstat -az")),
            ("[localhost] local: uname -r", Some("$ uname -r")),
            ("mininet> h1 ss -ti", Some("$ ip netns exec h1 ss -ti")),
            ("containernet> sh uname -r", Some("$ uname -r")),
            ("[db1] out: ESTAB 0 0", None),
            ("[root@db1 ~]# ss -tan", None),
            ("mininet> pingall", None),
            ("> h1 ss -ti", None),
        ] {
            assert_eq!(of_shell(line).as_deref(), expected, "{line}");
        }
    }
}
