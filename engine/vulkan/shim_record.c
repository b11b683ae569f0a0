#include "shim_table.h"
#include <stdio.h>
#include <stdlib.h>

int32_t kv_record(kv_device *d, uint64_t cmd, uint32_t usage, const uint64_t *ops, uint64_t words, const uint8_t *push) {
	VkCommandBuffer c = (VkCommandBuffer)(uintptr_t)cmd;
	VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = usage};
	VkResult r = d->BeginCommandBuffer(c, &begin);
	if (r != VK_SUCCESS) return r;
	uint64_t bound = 0;
	for (const uint64_t *o = ops, *end = ops + words; o < end;) {
		switch (o[0]) {
		case KV_OP_DISPATCH: {
			VkPipelineLayout layout = KV_HANDLE(VkPipelineLayout, o[2]);
			VkDescriptorSet set = KV_HANDLE(VkDescriptorSet, o[3]);
			if (bound != o[1]) d->CmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, KV_HANDLE(VkPipeline, o[1]));
			bound = o[1];
			d->CmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0, NULL);
			if (o[8]) d->CmdPushConstants(c, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, (uint32_t)o[8], push + o[7]);
			d->CmdDispatch(c, (uint32_t)o[4], (uint32_t)o[5], (uint32_t)o[6]);
			o += 9;
			break;
		}
		case KV_OP_BARRIER: {
			VkMemoryBarrier m = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
				.srcAccessMask = (VkAccessFlags)o[2], .dstAccessMask = (VkAccessFlags)o[4]};
			d->CmdPipelineBarrier(c, (VkPipelineStageFlags)o[1], (VkPipelineStageFlags)o[3], 0, 1, &m, 0, NULL, 0, NULL);
			o += 5;
			break;
		}
		case KV_OP_COPY: {
			VkBufferCopy region = {o[2], o[4], o[5]};
			d->CmdCopyBuffer(c, KV_HANDLE(VkBuffer, o[1]), KV_HANDLE(VkBuffer, o[3]), 1, &region);
			o += 6;
			break;
		}
		case KV_OP_FILL:
			d->CmdFillBuffer(c, KV_HANDLE(VkBuffer, o[1]), o[2], o[3], (uint32_t)o[4]);
			o += 5;
			break;
		case KV_OP_RESET:
			d->CmdResetQueryPool(c, KV_HANDLE(VkQueryPool, o[1]), (uint32_t)o[2], (uint32_t)o[3]);
			o += 4;
			break;
		case KV_OP_STAMP:
			d->CmdWriteTimestamp(c, (VkPipelineStageFlagBits)o[3], KV_HANDLE(VkQueryPool, o[1]), (uint32_t)o[2]);
			o += 4;
			break;
		default:
			abort(); // the Go side wrote a word that is no opcode: nothing sane can follow
		}
	}
	return d->EndCommandBuffer(c);
}

int32_t kv_submit(kv_device *d, uint64_t queue, uint64_t cmd, uint64_t fence) {
	VkFence f = KV_HANDLE(VkFence, fence);
	VkCommandBuffer c = (VkCommandBuffer)(uintptr_t)cmd;
	VkResult r = d->ResetFences(d->handle, 1, &f);
	if (r != VK_SUCCESS) return r;
	VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &c};
	return d->QueueSubmit((VkQueue)(uintptr_t)queue, 1, &info, f);
}

int32_t kv_wait(kv_device *d, uint64_t fence, uint64_t timeout_ns) {
	VkFence f = KV_HANDLE(VkFence, fence);
	return d->WaitForFences(d->handle, 1, &f, VK_TRUE, timeout_ns);
}

int32_t kv_query_results(kv_device *d, uint64_t pool, uint32_t first, uint32_t count, uint64_t *out) {
	return d->GetQueryPoolResults(d->handle, KV_HANDLE(VkQueryPool, pool), first, count, count * sizeof *out, out,
		sizeof *out, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
}

int32_t kv_fault(kv_device *d, char *text, uint32_t size) {
	if (!d->GetDeviceFaultInfoEXT || !size) return 0;
	VkDeviceFaultCountsEXT counts = {.sType = VK_STRUCTURE_TYPE_DEVICE_FAULT_COUNTS_EXT};
	if (d->GetDeviceFaultInfoEXT(d->handle, &counts, NULL) < 0) return 0;
	VkDeviceFaultInfoEXT info = {.sType = VK_STRUCTURE_TYPE_DEVICE_FAULT_INFO_EXT};
	info.pAddressInfos = calloc(counts.addressInfoCount + 1, sizeof *info.pAddressInfos);
	info.pVendorInfos = calloc(counts.vendorInfoCount + 1, sizeof *info.pVendorInfos);
	counts.vendorBinarySize = 0;
	int32_t n = 0;
	if (info.pAddressInfos && info.pVendorInfos && d->GetDeviceFaultInfoEXT(d->handle, &counts, &info) >= 0) {
		n = snprintf(text, size, "%s", info.description);
		for (uint32_t i = 0; i < counts.addressInfoCount && n < (int32_t)size; i++)
			n += snprintf(text + n, size - n, "; address 0x%llx type %d", (unsigned long long)info.pAddressInfos[i].reportedAddress,
				(int)info.pAddressInfos[i].addressType);
		for (uint32_t i = 0; i < counts.vendorInfoCount && n < (int32_t)size; i++)
			n += snprintf(text + n, size - n, "; %s", info.pVendorInfos[i].description);
	}
	free(info.pAddressInfos);
	free(info.pVendorInfos);
	return n;
}
