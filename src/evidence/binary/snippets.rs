#![allow(clippy::unwrap_used)]
//! Machine code for the tests: hand-written variants of how compilers emit a send queue's limit and the check of a SYN
//! cookie. The structures' fields are made up: 0x134 is the buffer's size, 0x138 the queued bytes.

/// The bytes of a snippet.
pub(crate) fn code(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// `push %rbx; mov 0x138(%rdi),%eax; movslq 0x134(%rdi),%rcx; sar %eax; cltq; add $0x20480,%rcx; cmp %rcx,%rax; jle
/// ok; test %esi,%esi; jne no; ok: xor %eax,%eax; pop %rbx; ret; no: cmp %rdx,0x40(%rdi); je ok; cmp %rdx,0x48(%rdi);
/// je ok; mov $-12,%eax; pop %rbx; ret`
pub(crate) const FIXED_ADD: &str = "538b873801000048638f34010000d1f848984881c1800402004839c87e0485f6750431c05bc34839574\
    074f64839574874f0b8f4ffffff5bc3";

/// `mov 0x134(%rdi),%eax; mov %esi,-8(%rsp); lea 0x20480(%rax),%r8d; mov 0x138(%rdi),%eax; sar $1,%eax; cmp
/// %eax,%r8d; jge ok; mov -8(%rsp),%ecx; test %ecx,%ecx; jne no; ok: xor %eax,%eax; ret; no: cmp 0x40(%rdi),%rdx; je
/// ok; cmp 0x48(%rdi),%rdx; je ok; incq 0x3b0(%rdi); mov $-12,%eax; ret`
pub(crate) const FIXED_LEA: &str = "8b8734010000897424f8448d80800402008b8738010000d1f84139c07d088b4c24f885c9750331c0c34\
    83b574074f7483b574874f148ff87b0030000b8f4ffffffc3";

/// `mov $0x20480,%r8d; movslq 0x138(%rdi),%r9; movslq 0x134(%rdi),%r10; sar %r9; add %r10,%r8; cmp %r8,%r9; jg on;
/// jmp ok; on: test %esi,%esi; je ok; mov 0x40(%rdi),%rax; cmp %rax,%rdx; je ok; mov 0x48(%rdi),%rax; cmp %rax,%rdx;
/// jne no; ok: xor %eax,%eax; ret; no: incq 0x3b0(%rdi); mov $-12,%eax; ret`
pub(crate) const FIXED_LOADED: &str = "41b8800402004c638f380100004c63973401000049d1f94d01d04d39c17f02eb1685f67412488b47\
    404839c27409488b47484839c2750331c0c348ff87b0030000b8f4ffffffc3";

/// `sub $0x18,%rsp; mov %rdi,%rbx; mov 0x134(%rbx),%eax; mov 0x138(%rbx),%r8d; sub $-0x20480,%rax; sar %r8d; cmp
/// %r8,%rax; jl on; ok: xor %eax,%eax; add $0x18,%rsp; ret; on: cmp $0,%esi; je ok; cmp %rdx,0x40(%rbx); je ok; mov
/// 0x48(%rbx),%rcx; cmp %rdx,%rcx; je ok; mov $-12,%eax; add $0x18,%rsp; ret`
pub(crate) const FIXED_SUBTRACTED: &str = "4883ec184889fb8b8334010000448b8338010000482d80fbfdff41d1f84c39c07c0731c04883\
    c418c383fe0074f44839534074ee488b4b484839d174e5b8f4ffffff4883c418c3";

/// `mov 0x138(%rdi),%eax; sar %eax; cmp %eax,0x134(%rdi); jl no; ; ok: xor %eax,%eax; ret; no: incq 0x3b0(%rdi);
/// mov $-12,%eax; ret`
pub(crate) const BREAK: &str = "8b8738010000d1f83987340100007c0331c0c348ff87b0030000b8f4ffffffc3";

/// `mov %rdi,%r12; mov 0x134(%r12),%ecx; mov 0x138(%r12),%eax; sar %eax; cmp %ecx,%eax; jle ok; mov $-12,%ebx; jmp
/// out; ok: xor %ebx,%ebx; out: mov %ebx,%eax; ret`
pub(crate) const BREAK_FALLING_THROUGH: &str =
    "4989fc418b8c2434010000418b842438010000d1f839c87e07bbf4ffffffeb0231db89d8c3";

/// `mov %esi,%r14d; mov 0x138(%rdi),%eax; sar %eax; cmp %eax,0x134(%rdi); jge ok; test %r14d,%r14d; jne no; ; ok:
/// xor %eax,%eax; ret; no: incq 0x3b0(%rdi); mov $-12,%eax; ret`
pub(crate) const HALF_FIX: &str = "4189f68b8738010000d1f83987340100007d054585f6750331c0c348ff87b0030000b8f4ffffffc3";

/// `mov 0x138(%rdi),%edx; mov $-12,%eax; sar %edx; cmp %edx,0x134(%rdi); jge ok; cmp $1,%esi; jne ok; ret; ok: xor
/// %eax,%eax; ret`
pub(crate) const HALF_FIX_PRELOADED: &str = "8b9738010000b8f4ffffffd1fa3997340100007d0683fe017501c331c0c3";

/// `test %esi,%esi; je ok; mov 0x138(%rdi),%eax; sar %eax; cmp %eax,0x134(%rdi); jl no; ; ok: xor %eax,%eax; ret;
/// no: incq 0x3b0(%rdi); mov $-12,%eax; ret`
pub(crate) const HALF_FIX_QUEUE_FIRST: &str =
    "85f674108b8738010000d1f83987340100007c0331c0c348ff87b0030000b8f4ffffffc3";

/// `mov 0x134(%rdi),%eax; lea 0x20000(%rax),%edx; mov 0x138(%rdi),%eax; sar %eax; cmp %eax,%edx; jl no; ; ok: xor
/// %eax,%eax; ret; no: incq 0x3b0(%rdi); mov $-12,%eax; ret`
pub(crate) const SLACK: &str = "8b87340100008d90000002008b8738010000d1f839c27c0331c0c348ff87b0030000b8f4ffffffc3";

/// `mov 0x138(%rdi),%eax; sar %eax; add $-0x20000,%eax; cmp 0x134(%rdi),%eax; jg no; ; ok: xor %eax,%eax; ret; no:
/// incq 0x3b0(%rdi); mov $-12,%eax; ret`
pub(crate) const SLACK_ON_THE_OTHER_SIDE: &str =
    "8b8738010000d1f8050000feff3b87340100007f0331c0c348ff87b0030000b8f4ffffffc3";

/// `mov 0x138(%rdi),%eax; movslq 0x134(%rdi),%r8; sar %eax; cmp %r8d,%eax; jle on; incq 0x3b0(%rdi); mov
/// 0x138(%rdi),%eax; movslq 0x134(%rdi),%r8; sar %eax; on: add $0x20480,%r8; cltq; cmp %rax,%r8; jge ok; test
/// %esi,%esi; je ok; cmp %rdx,0x40(%rdi); je ok; cmp %rdx,0x48(%rdi); jne no; ok: xor %eax,%eax; ret; no: incq
/// 0x3b0(%rdi); mov $-12,%eax; ret`
pub(crate) const COUNTS_ONLY: &str = "8b87380100004c638734010000d1f84439c07e1648ff87b00300008b87380100004c638734010000d\
    1f84981c08004020048984939c07d1085f6740c48395740740648395748750331c0c348ff87b0030000b8f4ffffffc3";

/// `mov 0x138(%rdi),%eax; sar %eax; cmp %eax,0x134(%rdi); jl no; movslq 0x134(%rdi),%rcx; cltq; add $0x20480,%rcx;
/// cmp %rcx,%rax; jle ok; test %esi,%esi; je ok; cmp %rdx,0x40(%rdi); je ok; cmp %rdx,0x48(%rdi); jne no; ok: xor
/// %eax,%eax; ret; no: incq 0x3b0(%rdi); mov $-12,%eax; ret`
pub(crate) const FIX_BEHIND_THE_BREAK: &str = "8b8738010000d1f83987340100007c2848638f3401000048984881c1800402004839c87e\
    1085f6740c48395740740648395748750331c0c348ff87b0030000b8f4ffffffc3";

/// `mov 0x138(%rdi),%eax; movslq 0x134(%rdi),%rcx; sar %eax; cltq; add $0x20480,%rcx; cmp %rcx,%rax; jle ok; test
/// %esi,%esi; je ok; cmp %rdx,0x40(%rdi); jne no; ok: xor %eax,%eax; ret; no: mov $-12,%eax; ret`
pub(crate) const SPARES_ONE: &str = "8b873801000048638f34010000d1f848984881c1800402004839c87e0a85f6740648395740750331c0\
    c3b8f4ffffffc3";

/// `mov 0x138(%rdi),%eax; movslq 0x134(%rdi),%rcx; sar %eax; cltq; add $0x20480,%rcx; cmp %rcx,%rax; jle ok; test
/// %esi,%esi; jne no; ok: xor %eax,%eax; ret; no: mov $-12,%eax; ret`
pub(crate) const SPARES_NONE: &str = "8b873801000048638f34010000d1f848984881c1800402004839c87e0485f6750331c0c3b8f4fffff\
    fc3";

/// `mov 0x138(%rdi),%eax; movslq 0x134(%rdi),%rcx; sar %eax; cltq; add $0x20480,%rcx; cmp %rcx,%rax; jle ok; test
/// %esi,%esi; je ok; cmp %rdx,0x40(%rdi); jne ok; cmp %rdx,0x48(%rdi); jne no; ok: xor %eax,%eax; ret; no: mov
/// $-12,%eax; ret`
pub(crate) const REFUSES_ONE: &str = "8b873801000048638f34010000d1f848984881c1800402004839c87e1085f6740c483957407506483\
    95748750331c0c3b8f4ffffffc3";

/// `mov 0x134(%rdi),%eax; mov 0x138(%rdi),%r8d; sub $-0x20480,%rax; sar %r8d; cmp %r8,%rax; jl on; ok: xor %eax,%eax;
/// ret; on: cmp $0,%esi; je ok; mov %rdx,%rbp; call *%r11; cmp %rbp,%rax; je ok; call *%r11; more: mov
/// 0x10(%rax),%rax; cmp $0,%rax; jne more; cmp %rbp,%rax; je ok; mov $-12,%eax; ret`
pub(crate) const LOOKS_UP: &str = "8b8734010000448b8738010000482d80fbfdff41d1f84c39c07c0331c0c383fe0074f84889d541ffd348\
    39e874ed41ffd3488b40104883f80075f64839e874dbb8f4ffffffc3";

/// `mov %rdi,%rbp; mov $5,%ebx; 1: mov %rbp,%rdi; call *%r11; dec %ebx; jne 1b; mov 0x138(%rbp),%eax; sar %eax; cmp
/// %eax,0x134(%rbp); jl no; ok: xor %eax,%eax; ret; no: mov $-12,%eax; ret`
pub(crate) const AFTER_A_LOOP: &str =
    "4889fdbb050000004889ef41ffd3ffcb75f68b8538010000d1f83985340100007c0331c0c3b8f4ffffffc3";

/// `mov 0x138(%rdi),%eax; sar %eax; call *%r11; cmp %eax,0x134(%rdi); jl no; ; ok: xor %eax,%eax; ret; no: incq
/// 0x3b0(%rdi); mov $-12,%eax; ret`
pub(crate) const LOST_IN_A_CALL: &str = "8b8738010000d1f841ffd33987340100007c0331c0c348ff87b0030000b8f4ffffffc3";

/// `mov 0x138(%rdi),%eax; sar %eax; cmp %eax,0x134(%rdx); jl no; ; ok: xor %eax,%eax; ret; no: incq 0x3b0(%rdi);
/// mov $-12,%eax; ret`
pub(crate) const OTHER_STRUCTURES: &str = "8b8738010000d1f83982340100007c0331c0c348ff87b0030000b8f4ffffffc3";

/// `mov 0x138(%rdi),%eax; shr %eax; cmp %eax,0x134(%rdi); jl no; ; ok: xor %eax,%eax; ret; no: incq 0x3b0(%rdi);
/// mov $-12,%eax; ret`
pub(crate) const UNSIGNED: &str = "8b8738010000d1e83987340100007c0331c0c348ff87b0030000b8f4ffffffc3";

/// `mov 0x138(%rdi),%eax; add 0xc8(%rdx),%eax; mov %eax,0x138(%rdi); xor %eax,%eax; ret`
pub(crate) const NO_LIMIT: &str = "8b87380100000382c800000089873801000031c0c3";

/// `mov 0x4(%rsi),%ebp; bswap %ebp; sub %ebp,%edx; mov %edx,%eax; shr $24,%edx; ret`
pub(crate) const COOKIE: &str = "8b6e040fcd29ea89d0c1ea18c3";

/// `mov 0x8(%rsi),%ebp; mov 0x4(%rsi),%r12d; bswap %r12d; bswap %ebp; mov %r12d,-16(%rsp); call *%r11; add
/// -16(%rsp),%eax; sub %eax,%ebp; mov %ebp,%ecx; shr $24,%ecx; ret`
pub(crate) const COOKIE_BOTH_LOADED: &str = "8b6e08448b6604410fcc0fcd44896424f041ffd3034424f029c589e9c1e918c3";

/// `mov 0x4(%rsi),%ebp; bswap %ebp; sub %ebp,%edx; shr $24,%edx; mov %ebp,%edi; call *%r11; ret`
pub(crate) const COOKIE_HASHED: &str = "8b6e040fcd29eac1ea1889ef41ffd3c3";

/// `mov 0x4(%rsi),%ebp; bswap %ebp; sub %ebp,%edx; shr $24,%edx; xor %ebp,%r8d; call *%r11; ret`
pub(crate) const COOKIE_MIXED: &str = "8b6e040fcd29eac1ea184131e841ffd3c3";

/// `mov 0x4(%rsi),%ebp; bswap %ebp; sub %ebp,%edx; shr $24,%edx; lea (%r8,%rbp),%r8d; call *%r11; ret`
pub(crate) const COOKIE_SUMMED_TWICE: &str = "8b6e040fcd29eac1ea18458d042841ffd3c3";

/// The offset of the call in [`CLOCK`] that computes its limit.
pub(crate) const CLOCK_CALLS: usize = 48;

/// `mov %rdi,%rbx; mov 0x530(%rbx),%ebp; test %ebp,%ebp; jne 1f; mov 0xffffffff82a079c0,%rax; mov %eax,0x530(%rbx); 2: xor
/// %eax,%eax; ret; 1: mov 0x534(%rbx),%edi; test %edi,%edi; je 2b; mov 0xffffffff82a079c0,%r12; call …; sub %ebp,%r12d; mov
/// %rax,%rdx; movslq %r12d,%rax; cmp %rdx,%rax; jb 2b; mov $1,%eax; ret`
pub(crate) const CLOCK: &str = "4889fb8bab3005000085ed7511488b0425c079a08289833005000031c0c38bbb3405000085ff74f34c8b2425c079\
    a082e8000000004129ec4889c24963c44839d072d8b801000000c3";

/// The same, but it stores the time in another field than the one that it counts from.
pub(crate) const CLOCK_UNSET: &str = "4889fb8bab3005000085ed7511488b0425c079a08289833805000031c0c38bbb3405000085ff74f34c8b24\
    25c079a082e8000000004129ec4889c24963c44839d072d8b801000000c3";

/// `mov %rdi,%rbx; movzbl 0x505(%rbx),%esi; call …; cmp %eax,0x534(%rbx); ja 1f; mov $1,%eax; ret; 1: xor %eax,%eax; ret`
pub(crate) const MODEL: &str = "4889fb0fb6b305050000e8000000003983340500007706b801000000c331c0c3";

/// The offset of the call in [`MODEL`] that models the time.
pub(crate) const MODEL_CALLS: usize = 10;

/// `mov %rdi,%rbx; mov 0xffffffff82a079c0,%rax; movb $0,0x505(%rbx); mov %eax,0x5ec(%rbx); test %esi,%esi; je 1f; 2: mov
/// $1,%eax; ret; 1: cmp %edx,0x624(%rbx); js 2b; movl $0,0x530(%rbx); jmp 2b`
pub(crate) const ACK: &str = "4889fb488b0425c079a082c68305050000008983ec05000085f67406b801000000c339932406000078f2c7833005000\
    000000000ebe6";

/// The same with `movl $0,0x530(%rbx)` in place of `movb`.
pub(crate) const ACK_FORGETS: &str = "4889fb488b0425c079a082c78330050000000000008983ec05000085f67406b801000000c33993240600007\
    8f2c7833005000000000000ebe6";

/// `mov %rdi,%rbx; mov 0xffffffff82a079c0,%rax; xor %ecx,%ecx; mov %eax,0x5ec(%rbx); test %esi,%esi; je 1f; mov
/// %ecx,0x530(%rbx); ret; 1: movq $0,0x52c(%rbx); mov $1,%eax; ret`
pub(crate) const ACK_FORGETS_ON_BOTH_WAYS: &str = "4889fb488b0425c079a08231c98983ec05000085f67407898b30050000c348c7832c050000\
    00000000b801000000c3";

/// [`ACK`] with `addl $1,0x530(%rbx)` in place of `movb`.
pub(crate) const ACK_ADDS: &str = "4889fb488b0425c079a082838330050000018983ec05000085f67406b801000000c339932406000078f2c78330\
    05000000000000ebe6";

/// [`ACK`] with `movw $0,0x532(%rbx)` in place of `movl`.
pub(crate) const ACK_CLEARS_HALF: &str = "4889fb488b0425c079a082c68305050000008983ec05000085f67406b801000000c3399324060000\
    78f266c783320500000000ebe7";

/// [`ACK`] without storing the time.
pub(crate) const ACK_NOTES_NOTHING: &str = "4889fb488b0425c079a082c683050500000085f67406b801000000c339932406000078f2c78330\
    05000000000000ebe6";

/// `mov %rdi,%rbx; mov 0xffffffff82a079c0,%rax; nop; 3: mov %eax,0x5ec(%rbx); test %esi,%esi; je 1f; 2: mov $1,%eax;
/// test %ecx,%ecx; jne 5f; pop %rbx; ret; 1: cmp %edx,0x624(%rbx); js 2b; movl $0,0x530(%rbx); jmp 2b; 5: pop %rbx;
/// call …; ud2; jmp 3b`: the call never returns, and the trap after it belongs to a WARN() elsewhere.
pub(crate) const ACK_CHECKS_ITS_STACK: &str = "4889fb488b0425c079a082908983ec05000085f6740bb80100000085c975165bc3399324060000\
    78edc7833005000000000000ebe15be8000000000f0bebcd";

/// The offset of the call in [`ACK_CHECKS_ITS_STACK`].
pub(crate) const ACK_CALLS: usize = 0x36;

/// `mov %rdi,%rbx; mov 0xffffffff82a079c0,%rax; mov %eax,0x5ec(%rbx); test %esi,%esi; je 1f; movl $0,0x530(%rbx); ret; 1:
/// ud2; ret`
pub(crate) const ACK_SPARES_BEHIND_A_TRAP: &str =
    "4889fb488b0425c079a0828983ec05000085f6740bc7833005000000000000c30f0bc3";
