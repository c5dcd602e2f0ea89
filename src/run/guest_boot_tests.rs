use super::*;

#[test]
fn guest_memory_grows_with_its_programs() {
    for (bytes, mib) in [(0, MEMORY_MIB), (1, MEMORY_MIB + 2), (10 << 20, MEMORY_MIB + 20), (usize::MAX, u32::MAX)] {
        assert_eq!(usual_memory_mib(bytes), mib, "{bytes}");
    }
}
