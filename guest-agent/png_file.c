/* PNG files by libpng. Its errors come by longjmp; nothing that needs cleaning up is made inside. */
#include "guest-agent/png_file.h"

#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Returns 0, or -EIO. */
static int rows_write(png_structp png, png_infop info, FILE *file, const struct picture *picture)
{
	if (setjmp(png_jmpbuf(png))) {
		return -EIO;
	}
	png_init_io(png, file);
	png_set_compression_level(png, 0);
	png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
	png_set_IHDR(png, info, picture->width_px, picture->height_px, 8, PNG_COLOR_TYPE_RGB,
			PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	/* Memory holds B, G, R, X: libpng turns it into R, G, B. */
	png_set_filler(png, 0, PNG_FILLER_AFTER);
	png_set_bgr(png);
	for (uint32_t y = 0; y < picture->height_px; y++) {
		png_write_row(png, (png_const_bytep)picture_at(picture, 0, y));
	}
	png_write_end(png, info);
	return 0;
}

static int stream_write(FILE *file, const struct picture *picture)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	int error = -ENOMEM;
	if (info) {
		error = rows_write(png, info, file, picture);
	}
	png_destroy_write_struct(&png, &info);
	return error;
}

int png_file_write(int dir_fd, const char *name, const struct picture *picture)
{
	char temporary[64];
	if (snprintf(temporary, sizeof(temporary), ".%s.new", name) >= (int)sizeof(temporary)) {
		return -ENAMETOOLONG;
	}
	int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		return -errno;
	}
	FILE *file = fdopen(fd, "wb");
	if (!file) {
		int error = -errno;
		close(fd);
		return error;
	}
	int error = stream_write(file, picture);
	if (fclose(file) != 0 && !error) {
		error = -errno;
	}
	if (!error && renameat(dir_fd, temporary, dir_fd, name) != 0) {
		error = -errno;
	}
	if (error) {
		unlinkat(dir_fd, temporary, 0);
	}
	return error;
}
