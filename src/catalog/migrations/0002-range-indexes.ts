/**
 * Indexes for filters on what seldom varies: read whole and sorted when few images match (docs/decisions/0011). And
 * one that tells which combinations of status and formats there are, for the walks over groups (docs/decisions/0014).
 */
export const SQL = `
create index images_virtual_size on images (virtual_size) where virtual_size is not null;
create index images_min_ram on images (min_ram);
create index images_min_disk on images (min_disk);
create index images_kinds on images (status, coalesce(disk_format, ''), coalesce(container_format, ''))
  where status not in ('killed', 'deleted', 'pending_delete');
`;
