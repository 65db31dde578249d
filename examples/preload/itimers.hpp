// Copyright (c) 2026 the chime authors.
// Distributed under the Boost Software License, Version 1.0 (see LICENSE).
#pragma once

namespace preload {

/// Arms the kernel's interval timers with what is left of ours, for the program that an exec is about
/// to start. True if there was anything.
bool hand_over_itimers() noexcept;

/// The exec failed: switches them off again.
void take_back_itimers() noexcept;

}  // namespace preload
