import { ApiProperty } from '@nestjs/swagger';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity('comments')
export class Comment {
  @ApiProperty()
  @PrimaryGeneratedColumn()
  id!: number;

  /** `null`: anonymous. */
  @ApiProperty({ type: 'string', nullable: true })
  @Column('text', { nullable: true })
  author!: string | null;

  @ApiProperty({ type: 'string', nullable: true })
  @Column('text', { nullable: true })
  topic!: string | null;

  @ApiProperty()
  @Column('text')
  text!: string;
}
