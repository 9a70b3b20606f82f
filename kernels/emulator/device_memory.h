// The emulated device's memory: one reserved range of addresses, so that an address shows whether
// it is device memory. Internal to the emulator; kernels/emulator/api.h has cudaMalloc.
//
// Every allocation starts behind an inaccessible page and ends, up to 16 bytes, before another, so
// an index out of bounds faults. It is filled with 0xFF, so uninitialised floats are NaN. Freed
// addresses stay inaccessible as long as there are fresh ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace assay::emulator {

/// nullptr when the device (config().memory_bytes) is full.
void* allocate_device_memory(size_t bytes);
/// False for a pointer that allocate_device_memory did not return, or that was freed.
bool free_device_memory(void* p);
size_t device_memory_in_use();

/// Whether `address` lies in the device's range, allocated or not.
bool is_device_address(uintptr_t address);
/// Offset of a device address from the start of the range.
uintptr_t device_offset(uintptr_t address);
/// Length of the range: an upper bound of device_offset().
size_t device_address_bytes();
/// Whether [address, address + bytes) lies inside one live allocation.
bool in_allocation(uintptr_t address, size_t bytes);

}  // namespace assay::emulator
